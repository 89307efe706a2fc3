"""What can be done to a release, one module a verb; each is planned, confirmed, executed, verified and recorded."""
