"""The rule-based judge, alone and behind the prompts of the installed ragas."""

import json

import pytest

from llama_index_ft_rag.offline.responder import ChatRequest
from llama_index_ft_rag.offline.toys.judge import judge, supported_share, take_apart
from llama_index_ft_rag.offline.toys.prompts import RelevanceTask, StatementsTask, VerdictsTask, read_request
from llama_index_ft_rag.offline.toys.readers import BuiltInResponder

CONTEXT = (
    "Harbor Light was founded in 1968. Its revenue was $41.2 million in fiscal 2024.\n"
    "Two storms closed the northern ports in the spring."
)


def verdicts(*statements, context=CONTEXT):
    """The verdicts on some statements."""
    said = json.loads(judge(VerdictsTask(context=context, statements=statements)))
    assert [one["statement"] for one in said["statements"]] == list(statements)
    return [one["verdict"] for one in said["statements"]]


def test_what_the_context_says_is_supported():
    """A sentence of the context, and one with the same words in another order, count as supported."""
    assert verdicts(
        "Its revenue was $41.2 million in fiscal 2024.",
        "In the spring the northern ports were closed by two storms.",
    ) == [1, 1]


def test_a_wrong_number_is_not_supported():
    """One figure that is not in the context is enough for a 0, and the reason names it."""
    said = json.loads(judge(VerdictsTask(context=CONTEXT, statements=("Harbor Light was founded in 1969.",))))

    assert said == {
        "statements": [
            {"statement": "Harbor Light was founded in 1969.", "reason": "Not in the context: 1969.", "verdict": 0}
        ]
    }


def test_words_from_far_apart_or_nowhere_are_not_supported():
    """Support has to stand in one passage; a refusal makes no claim at all."""
    filler = " ".join(f"Gull number {word} sings." for word in ("one", "two", "three", "four", "five"))
    far = f"Ada owns boats. {filler} Brook paints churches. {filler} Castles need roofs."

    assert verdicts("Ada paints castles roofs.", context=far) == [0]
    assert verdicts("The moon is made of cheese.", "The context does not provide this information.") == [0, 0]


def test_support_of_nothing_is_zero():
    """An empty statement or context supports nothing."""
    assert [supported_share("", CONTEXT), supported_share("Ports closed.", "")] == [0.0, 0.0]


def test_chinese_statements_are_judged_too():
    """Numbers and characters count the same way in Chinese."""
    context = "2025年营业收入为840.0，增长7.7%。公司共有员工1,286人。"

    assert verdicts("公司共有员工1,286人。", "公司共有员工1,300人。", context=context) == [1, 0]


def test_statements_keep_their_subject():
    """Each sentence is a statement; a pronoun at its beginning becomes the subject before it."""
    answer = "Harbor Light was founded in 1968. It owns two yards. Its crews are local.\n- Storms closed ports."

    assert take_apart(answer) == [
        "Harbor Light was founded in 1968.",
        "Harbor Light owns two yards.",
        "Harbor Light's crews are local.",
        "Storms closed ports.",
    ]
    assert take_apart("北方灯塔成立于1968年。它有两座船厂。") == ["北方灯塔成立于1968年。", "北方灯塔有两座船厂。"]
    assert take_apart(" \n...\n") == []


def test_relevance_is_a_question_and_a_flag():
    """A refusal is noncommittal, an answer is not."""
    answers = ("Revenue was $3 million in 2024.", "The context does not provide information on revenue.")

    assert [json.loads(judge(RelevanceTask(response=answer))) for answer in answers] == [
        {"question": "What was revenue in 2024?", "noncommittal": 0},
        {
            "question": "What does the company say about the context does not provide information on revenue?",
            "noncommittal": 1,
        },
    ]


@pytest.mark.filterwarnings("ignore")
class TestRagasPrompts:
    """A ragas whose prompts changed is noticed here."""

    @pytest.fixture(scope="class")
    def forms(self):
        """The prompt and form classes of the two metrics."""
        pytest.importorskip("ragas")
        from ragas.metrics.collections.answer_relevancy import util as relevancy
        from ragas.metrics.collections.faithfulness import util as faithfulness

        return {**vars(faithfulness), **vars(relevancy)}

    def reply(self, text, form):
        """What the judge says to a prompt, read into ragas' own form; a client may add a system message."""
        messages = [{"role": "system", "content": "Reply in JSON."}, {"role": "user", "content": text}]
        request = ChatRequest(model="offline-judge", messages=messages)
        return form.model_validate_json(BuiltInResponder(seed=0).chat(request).content)

    def test_statements(self, forms):
        """The statement prompt is recognised by its last input, not by its examples."""
        answer = 'Harbor Light was founded in 1968. It owns two yards.\ninput: {"response": "x"}'
        text = forms["StatementGeneratorPrompt"]().to_string(
            forms["StatementGeneratorInput"](question="When?", answer=answer)
        )

        assert read_request([{"role": "user", "content": text}]) == StatementsTask(question="When?", answer=answer)
        assert self.reply(text, forms["StatementGeneratorOutput"]).statements[:2] == [
            "Harbor Light was founded in 1968.",
            "Harbor Light owns two yards.",
        ]

    def test_verdicts(self, forms):
        """One verdict per statement comes back, in order."""
        statements = ["Harbor Light was founded in 1968.", "Harbor Light sells cheese."]
        text = forms["NLIStatementPrompt"]().to_string(
            forms["NLIStatementInput"](context=CONTEXT, statements=statements)
        )

        said = self.reply(text, forms["NLIStatementOutput"]).statements
        assert [(one.statement, one.verdict) for one in said] == list(zip(statements, [1, 0], strict=True))

    def test_relevance(self, forms):
        """The relevance prompt gets its question and flag."""
        text = forms["AnswerRelevancePrompt"]().to_string(
            forms["AnswerRelevanceInput"](response="Revenue was $3 million in 2024.")
        )

        assert self.reply(text, forms["AnswerRelevanceOutput"]).model_dump() == {
            "question": "What was revenue in 2024?",
            "noncommittal": 0,
        }

    def test_a_second_try_is_answered_like_the_first(self, forms):
        """A client that complains about the first JSON gets the form again."""
        text = forms["AnswerRelevancePrompt"]().to_string(forms["AnswerRelevanceInput"](response="Ports closed."))
        messages = [
            {"role": "user", "content": text},
            {"role": "assistant", "content": "oops"},
            {"role": "user", "content": "Correct your JSON ONLY RESPONSE, based on the following errors: none"},
        ]

        assert read_request(messages) == RelevanceTask(response="Ports closed.")


def test_a_form_that_is_not_known_is_not_filled_in():
    """Another metric's prompt is no judge task; it is treated as a question without context."""
    text = 'Return JSON.\ninput: {"question": "Q", "answer": "A", "context": "C"}\nOutput: '
    broken = "Return JSON.\ninput: {broken\nOutput: "

    assert [type(read_request([{"role": "user", "content": one}])).__name__ for one in (text, broken)] == [
        "AnswerTask",
        "AnswerTask",
    ]
