"""A recorded run, run again: code rebuilt, environment checked, config and seed as recorded, the result compared."""
