"""The endpoints of the offline backend, one module per group of the OpenAI API.

In: requests. Out: responses in the service's shapes, its error bodies among them. Knows nothing of sockets, and
nothing of how a model finds what it says.
"""
