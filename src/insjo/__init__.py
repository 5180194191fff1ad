"""Insjö: the data and AI platform that a company runs itself."""
