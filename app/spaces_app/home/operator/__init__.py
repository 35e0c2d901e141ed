"""The operator's page of a farm, at `/farm` of the home page: it shows and does, behind a login."""
