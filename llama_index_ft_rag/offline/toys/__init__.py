"""The built-in models of the offline backend: small, rule-based, and toys.

In: chat requests, texts to embed, training lines. Out: answers, vectors, weights. None of it is a language model, and
no figure they reach is evidence that fine-tuning helps. Knows nothing of HTTP, files or jobs.
"""
