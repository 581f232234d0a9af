"""The conformance proof of the offline backend: witnesses that compare it with the API as published.

`schema_witness` asks the published description, `recording_witness` real traffic, `client_witness` the openai
client at both ends of the declared range. Each fills one column of the `table`, a cell for each operation served.
"""
