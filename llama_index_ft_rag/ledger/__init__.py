"""Every paid call: intent before it is sent, answer before it is used; the reason a re-run pays nothing twice.

Modules in their order: `stored_responses` (answers to JSON and back), `store` (the database), `account` (keys and
states of calls), `llm` and `embedding` (the wrappers), `ledger` (what a user holds).
"""

from llama_index_ft_rag.ledger.ledger import Ledger, LedgerTotal

__all__ = ["Ledger", "LedgerTotal"]
