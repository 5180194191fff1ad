"""The workspace: folders, files, saved queries, dashboards and secrets, with the rights of their folders."""
