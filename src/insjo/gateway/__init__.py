"""Endpoints, routes, limits, budgets and usage of every model."""
