"""`python -m llama_index_ft_rag.cli`: the `ft-rag` command where scripts are not on the path."""

from llama_index_ft_rag.cli import main

main()
