"""Files and tables of other machines, from places that a steward has allowed."""
