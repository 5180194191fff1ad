"""Fakes and adapter contract suites that ship with the product."""
