"""The commands of `insjo`: serve, demo, sql, doctor, config and their kin."""
