"""The site: a study, a trial, a comparison as pages, read from the record and never written to it."""
