"""Fixtures and fakes that tests of several services share."""
