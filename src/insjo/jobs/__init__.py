"""Jobs, runs, schedules and the durable queue; rooms above register handlers."""
