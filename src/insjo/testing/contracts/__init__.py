"""Suites that every adapter of a port passes; each check raises ContractBroken with what was expected."""
