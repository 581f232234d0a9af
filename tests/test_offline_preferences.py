"""Preference training of the offline backend: pairs, through the toy student and through the openai client."""

import json

import pytest

from llama_index_ft_rag.offline import (
    ApiFailure,
    ChatRequest,
    OfflineBackend,
    ServiceConditions,
    TrainRequest,
    open_clients,
)
from llama_index_ft_rag.offline.tokens import count_example_tokens
from llama_index_ft_rag.offline.toys.readers import BuiltInResponder

TOWNS = ["Arlow", "Brent", "Corby", "Dunmore", "Elston", "Farrow", "Galt", "Hythe", "Ilford", "Jarrow", "Luton"]
REFUSAL = "The context does not provide information on this question."


def asked(town):
    """What an engine would send about one town."""
    context = (
        f"The office of {town} is open on weekdays. {docks(town)}\n"
        f"{cleaning(town)} Fish from {town} is sold at the market. Gulls are loud there."
    )
    question = f"How many docks does the harbour of {town} have?"
    return [{"role": "user", "content": f"Context: {context}\nQuestion: {question}\nAnswer:"}]


def docks(town):
    """What plain BM25 quotes."""
    return f"The harbour of {town} has {TOWNS.index(town) + 3} docks for ships."


def cleaning(town):
    """Another sentence of the same page."""
    return f"Every dock of {town} is cleaned in winter."


def both(town):
    """Two sentences."""
    return f"{docks(town)} {cleaning(town)}"


def refusal(_town):
    """No sentence at all."""
    return REFUSAL


def pair(town, preferred, other):
    """One line of a preference file."""
    return {
        "input": {"messages": asked(town), "tools": [], "parallel_tool_calls": True},
        "preferred_output": [{"role": "assistant", "content": preferred(town)}],
        "non_preferred_output": [{"role": "assistant", "content": other(town)}],
    }


def pairs(preferred, other, towns=TOWNS[:10]):
    """A preference file on several towns."""
    return [pair(town, preferred, other) for town in towns]


def train(lines, *, seed=0, n_epochs=8, beta=0.1, validation=()):
    """Train the student on pairs and load the result as `tuned`."""
    responder = BuiltInResponder(seed=0)
    steps = []
    request = TrainRequest(
        lines=lines,
        base_model="offline-student",
        seed=seed,
        n_epochs=n_epochs,
        method="dpo",
        beta=beta,
        validation_lines=validation,
    )
    weights = responder.train(request, steps.append)
    responder.load("tuned", weights)
    return responder, weights, steps


def answer(responder, town, model="tuned"):
    """What a model says about a town."""
    return responder.chat(ChatRequest(model=model, messages=asked(town))).content


@pytest.mark.parametrize(
    ("preferred", "other"),
    [(cleaning, docks), (docks, cleaning), (both, docks), (docks, both), (refusal, docks), (docks, refusal)],
)
def test_it_gives_the_preferred_kind_of_answer_to_new_questions(preferred, other):
    """Trained on ten towns, it answers for an eleventh as was preferred: which sentence, how many, or none."""
    responder, _, _ = train(pairs(preferred, other))

    assert answer(responder, "Luton", model="offline-student") == docks("Luton")
    assert answer(responder, "Luton") == preferred("Luton")


def test_the_loss_starts_at_chance_and_falls():
    """Before the first step no answer is preferred, which costs log 2; then pairs come apart, step by step."""
    _, _, steps = train(pairs(cleaning, docks), n_epochs=4)

    assert (steps[0].train_loss, steps[0].train_accuracy) == (0.693147, 0.0)
    assert [(step.step, step.epoch) for step in steps] == [(n + 1, n // 10 + 1) for n in range(40)]
    assert sum(step.train_loss for step in steps[-10:]) < 0.8 * sum(step.train_loss for step in steps[:10])
    assert steps[-1].train_accuracy == 1.0


def test_the_same_training_gives_the_same_bytes():
    """Same pairs, seed and beta end with identical weights; another seed takes another way."""
    lines = pairs(cleaning, docks, TOWNS[:6]) + pairs(docks, cleaning, TOWNS[6:10])
    one, two, other = (json.dumps(train(lines, seed=seed)[1]) for seed in (3, 3, 4))

    assert one == two
    assert one != other


def test_beta_holds_the_weights_near_the_base():
    """The higher beta is, the sooner a pair is settled, and the less its sentences come apart in the end."""
    apart = {}
    for beta in (0.5, 2.0):
        _, weights, _ = train(pairs(cleaning, docks), beta=beta, n_epochs=20)
        apart[beta] = abs(weights["sentence"]["bm25"] - 6.0)

    assert apart[2.0] < 0.75 * apart[0.5]


def test_validation_pairs_are_measured_after_each_epoch():
    """Pairs that were not trained on get figures of their own, and do not change the weights."""
    _, weights, steps = train(pairs(cleaning, docks), n_epochs=3, validation=pairs(cleaning, docks, ["Luton"]))
    measured = [step for step in steps if step.valid_loss is not None]

    assert [step.step for step in measured] == [10, 20, 30]
    assert measured[2].valid_loss < measured[1].valid_loss < measured[0].valid_loss < 0.693
    assert [step.valid_accuracy for step in measured] == [1.0, 1.0, 1.0]
    assert weights == train(pairs(cleaning, docks), n_epochs=3)[1]


def test_the_last_three_epochs_leave_their_weights():
    """They are there to become checkpoints, and the last of them is the result."""
    _, weights, steps = train(pairs(cleaning, docks), n_epochs=4)
    kept = [(step.step, step.weights) for step in steps if step.weights is not None]

    assert [step for step, _ in kept] == [20, 30, 40]
    assert {**kept[-1][1], "lines": 10, "lines_used": 10} == weights


def refine_pair(preferred):
    """A pair on a refine step, whose draft is the sentence on docks."""
    text = (
        f"New Context: {cleaning('Luton')} Gulls are loud there.\nQuery: Is the harbour of Luton clean?\n"
        f"Original Answer: {docks('Luton')}\nNew Answer: "
    )
    return {**pair("Luton", preferred, refusal), "input": {"messages": [{"role": "user", "content": text}]}}


def test_pairs_that_a_reader_cannot_tell_apart_are_left_out_and_counted():
    """The same sentences in both answers, a question without a context, or a repeated draft teach nothing."""
    same = pair("Luton", docks, docks)
    bare = {**pair("Luton", docks, cleaning), "input": {"messages": [{"role": "user", "content": "Ahoy!"}]}}
    _, weights, _ = train([same, bare, refine_pair(docks), refine_pair(cleaning), *pairs(cleaning, docks)])

    assert (weights["lines"], weights["lines_used"]) == (14, 11)


def test_a_file_without_any_usable_pair_fails_the_job():
    """Nothing is trained where no pair says what is better, and the failure says what would."""
    request = TrainRequest(lines=pairs(docks, docks), base_model="offline-student", seed=0, n_epochs=1, method="dpo")
    failure = BuiltInResponder(seed=0).train(request, print)

    assert isinstance(failure, ApiFailure)
    assert (failure.code, failure.param) == ("invalid_training_file", "training_file")
    assert "two answers of which each takes something else from the context" in failure.message


@pytest.fixture
def client():
    """A client of a backend with the toy models."""
    with OfflineBackend() as backend:
        yield open_clients(backend).sync


def start(client, lines, **hyperparameters):
    """Upload pairs and create a job on them."""
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    uploaded = client.files.create(file=("pairs.jsonl", data), purpose="fine-tune")
    method = {"type": "dpo", "dpo": {"hyperparameters": hyperparameters}}
    return client.fine_tuning.jobs.create(model="offline-student", training_file=uploaded.id, method=method)


def finish(client, job):
    """Look at a job until it has ended."""
    for _ in range(4):
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def test_a_preference_job_from_start_to_end(client):
    """The method is told back, first as asked and then as used; checkpoints and the model answer as preferred."""
    job = start(client, pairs(cleaning, docks))
    ended = finish(client, job)
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    reply = client.chat.completions.create(model=ended.fine_tuned_model, messages=asked("Luton"))

    auto = {"beta": "auto", "n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert job.method.to_dict() == {"type": "dpo", "dpo": {"hyperparameters": auto}}
    assert ended.method.dpo.hyperparameters.to_dict() == {**auto, "beta": 0.1, "n_epochs": 10}
    assert (job.hyperparameters, ended.status) == (None, "succeeded")
    assert [checkpoint.step_number for checkpoint in checkpoints] == [100, 90, 80]
    assert reply.choices[0].message.content == cleaning("Luton")


def test_both_answers_are_billed(client):
    """The tokens of a pair are those of its question and of both answers, once per epoch."""
    job = finish(client, start(client, pairs(docks, refusal), n_epochs=2))
    texts = [[*asked(town), *({"content": kind(town)} for kind in (docks, refusal))] for town in TOWNS[:10]]

    assert job.trained_tokens == 2 * sum(count_example_tokens(messages) for messages in texts)


def test_beta_reaches_the_training(client):
    """Another beta makes another model of the same pairs."""
    losses = []
    for beta in (0.05, 2):
        job = finish(client, start(client, pairs(cleaning, docks), n_epochs=2, beta=beta))
        losses.append(client.fine_tuning.jobs.checkpoints.list(job.id).data[0].metrics.train_loss)

    assert losses[1] < 0.2 * losses[0]


GOOD = pair("Luton", docks, refusal)
TEXT = {"role": "assistant", "content": "x <|fim_suffix|>"}
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"messages": [*asked("Luton"), *GOOD["preferred_output"]]},
            "has messages, but the job's method is dpo: expected a preference pair",
        ),
        ({"prompt": "q"}, "has no input: expected a preference pair"),
        (
            {"input": GOOD["input"], "preferred_completion": []},
            "has no preferred_output: expected a preference pair",
        ),
        ({**GOOD, "input": "q"}, "cannot be read: input.messages must be a list of messages"),
        (
            {**GOOD, "input": {"messages": []}},
            "cannot be read: input.messages is empty; at least one message is needed",
        ),
        (
            {**GOOD, "preferred_output": [{"role": "assistant"}]},
            "cannot be read: preferred_output[0].content is missing; only a tool call or a refusal may go without",
        ),
        (
            {**GOOD, "non_preferred_output": asked("Luton")},
            "has a non_preferred_output other than one message from the assistant",
        ),
        (
            {**GOOD, "preferred_output": GOOD["preferred_output"] * 2},
            "has a preferred_output other than one message from the assistant",
        ),
        ({**GOOD, "input": {"messages": [IMAGE]}}, "holds more than text, which preferences cannot be trained on"),
        ({**GOOD, "preferred_output": [TEXT]}, "message contains an invalid token: <|fim_suffix|>"),
    ],
)
def test_a_bad_pair_is_named(client, row, reason):
    """A file with a line that is no preference pair fails the job, which names the line."""
    job = finish(client, start(client, [*pairs(docks, refusal), row]))

    assert (job.status, job.error.code, job.error.param) == ("failed", "invalid_training_file", "training_file")
    assert job.error.message == f"Invalid file format. Example 11 {reason}"


def test_pairs_that_are_too_long_lose_their_answers():
    """An answer is cut at the model's limit; an input that fills it alone leaves empty ones, so a pair stays a pair."""

    class Watching(BuiltInResponder):
        """Accepts any name, and keeps what it was asked."""

        def models(self):
            return None

        def train(self, request, on_step):
            asked_for.append(request)
            return ApiFailure(message="seen")

    asked_for = []
    words = "word " * 20_000
    filled = {**GOOD, "input": {"messages": [{"role": "user", "content": words}]}}
    long_answer = pair("Luton", lambda _: words, refusal)
    data = "".join(json.dumps(line) + "\n" for line in [filled, long_answer, *pairs(docks, refusal)]).encode()
    with OfflineBackend(responder=Watching()) as backend:
        client = open_clients(backend).sync
        uploaded = client.files.create(file=data, purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="gpt-3.5-turbo", training_file=uploaded.id, method={"type": "dpo", "dpo": {}}
        )
        finish(client, job)
    first, second, third = asked_for[0].lines[:3]
    empty = [{"role": "assistant", "content": ""}]

    assert (first["preferred_output"], first["non_preferred_output"]) == (empty, empty)
    assert second["input"] == GOOD["input"]
    assert 16_000 * 5 < len(second["preferred_output"][0]["content"]) < 16_385 * 5
    assert third == pair("Arlow", docks, refusal)


def test_pairs_are_moderated():
    """Flagged words are looked for in the questions and in both answers of a pair."""
    lines = [*pairs(docks, refusal), pair("Luton", docks, lambda _: "It is foul.")]
    with OfflineBackend(conditions=ServiceConditions(flagged_words={"hate": ["foul"]})) as backend:
        client = open_clients(backend).sync
        job = finish(client, start(client, lines))

    assert job.error.message.endswith("Flagged lines: 11")
