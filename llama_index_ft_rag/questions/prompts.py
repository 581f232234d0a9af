"""How an LLM is asked for questions, in the language of the text."""

from __future__ import annotations

from llama_index.core.prompts import PromptTemplate

from llama_index_ft_rag.questions.wording import is_chinese

# "generate only questions based on the below query", LlamaIndex's own words, tell recorders what the call is for.
QUESTION_TEMPLATE = PromptTemplate(
    "Context information is below.\n"
    "---------------------\n"
    "{context_str}\n"
    "---------------------\n"
    "With this context and no prior knowledge, generate only questions based on the below query.\n"
    "{query_str}\n"
)
QUESTION_QUERY = (
    "Write {num} questions that this context alone answers. Each must make sense to a reader who does not see "
    "the context, name what it is about, ask one thing and differ from the others. Write in the language of the "
    "context, one question per line, with no numbers, answers or other text."
)
QUESTION_QUERY_CHINESE = (
    "请用中文写出{num}个问题，每个问题都能仅凭以上内容回答。读者看不到以上内容，所以每个问题要写明所指的对象，"
    "只问一件事，并且互不重复。每行写一个问题，不要编号，不要答案，也不要其他文字。"
)


def question_query(text: str, *, count: int, own: str | None = None) -> str:
    """Return what the prompt asks for about this text: the caller's `own` words, or ours in its language."""
    query = own or (QUESTION_QUERY_CHINESE if is_chinese(text) else QUESTION_QUERY)
    return query.replace("{num}", str(count))
