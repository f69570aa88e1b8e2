"""Tests of every read, against databases that Optuna itself wrote."""
