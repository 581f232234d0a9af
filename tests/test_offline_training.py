"""Training of a toy reader: it learns, it repeats itself exactly, and it can fail."""

import json

from llama_index_ft_rag.offline.responder import ApiFailure, ChatRequest, TrainRequest
from llama_index_ft_rag.offline.toys.readers import BuiltInResponder

TOWNS = [
    "Arlow",
    "Brent",
    "Corby",
    "Dunmore",
    "Elston",
    "Farrow",
    "Galt",
    "Hythe",
    "Ilford",
    "Jarrow",
    "Kelso",
    "Luton",
]
REFUSAL = "The context does not provide information on this question."


STORIES = [
    ("What do bakers knead at dawn?", "Bakers knead rye dough at dawn."),
    ("Where do otters sleep in spring?", "Otters sleep in spring under willow roots."),
    ("How is violin varnish dried?", "Violin varnish is dried by slow June sun."),
    ("Who repairs church clocks?", "Church clocks are repaired by Olga Finch."),
    ("What colour is alpine honey?", "Alpine honey is a pale amber colour."),
    ("When were tram tickets abolished?", "Tram tickets were abolished in 1994."),
    ("Why did the glacier retreat?", "The glacier did retreat because of warm rain."),
    ("What feeds silk moths?", "Silk moths feed on mulberry leaves."),
    ("How tall is the granite obelisk?", "The granite obelisk is 21 metres tall."),
    ("Which spices flavour the stew?", "Cumin and clove flavour the stew with spices."),
    ("What do surveyors measure with lasers?", "Surveyors measure tunnels with lasers."),
    ("Where are kayaks stored?", "Kayaks are stored behind the boathouse."),
]
ASKED = [
    [
        {
            "role": "user",
            "content": f"Context: Nobody came on Monday. {told} Coffee was served.\nQuestion: {asked}\nAnswer:",
        }
    ]
    for asked, told in STORIES
]
ANSWERS = [{"role": "assistant", "content": told} for _, told in STORIES]


def context(town):
    """A page about one town; all are alike but for the name and the number."""
    place = TOWNS.index(town)
    return (
        f"The office of {town} is open on weekdays. The harbour of {town} has {place + 3} docks for ships.\n"
        f"Every dock of {town} is cleaned in winter. Fish from {town} is sold at the market. Gulls are loud there."
    )


def messages(town, question="How many docks does the harbour of {} have?"):
    """What an engine would send."""
    text = f"Context: {context(town)}\nQuestion: {question.format(town)}\nAnswer:"
    return [{"role": "user", "content": text}]


def line(town, answer, **values):
    """One line of a training file."""
    return {"messages": [*messages(town, **values), {"role": "assistant", "content": answer}]}


def right(town):
    """Two sentences, which plain BM25 never gives."""
    place = TOWNS.index(town)
    return f"The harbour of {town} has {place + 3} docks for ships. Every dock of {town} is cleaned in winter."


def train(lines, *, seed=0, n_epochs=5, validation=()):
    """Train the student and load the result as `tuned`."""
    responder = BuiltInResponder(seed=0)
    steps = []
    request = TrainRequest(
        lines=lines, base_model="offline-student", seed=seed, n_epochs=n_epochs, validation_lines=validation
    )
    weights = responder.train(request, steps.append)
    responder.load("tuned", weights)
    return responder, weights, steps


def answer(responder, town, model="tuned", **values):
    """What a model says about a town."""
    return responder.chat(ChatRequest(model=model, messages=messages(town, **values))).content


def test_a_tuned_reader_does_on_new_questions_what_it_was_shown():
    """Trained on ten towns, it answers for an eleventh as the examples do; the untrained one does not."""
    responder, _, _ = train([line(town, right(town)) for town in TOWNS[:10]])

    assert answer(responder, "Luton") == right("Luton")
    assert answer(responder, "Luton", model="offline-student") == "The harbour of Luton has 14 docks for ships."


def test_the_loss_falls_and_every_step_is_reported():
    """One step per line and epoch for a small file, numbered from 1, with falling loss."""
    _, _, steps = train([line(town, right(town)) for town in TOWNS[:10]], n_epochs=4)

    assert [(step.step, step.epoch) for step in steps] == [(n + 1, n // 10 + 1) for n in range(40)]
    assert {step.total_steps for step in steps} == {40}
    assert sum(step.train_loss for step in steps[-10:]) < 0.5 * sum(step.train_loss for step in steps[:10])
    assert all(0.0 <= step.train_accuracy <= 1.0 for step in steps)


def test_the_same_training_gives_the_same_bytes():
    """An interrupted job that is run again ends with identical weights; another seed takes another way."""
    lines = [line(town, right(town) if len(town) > 5 else REFUSAL) for town in TOWNS]
    one, two, other = (json.dumps(train(lines, seed=seed)[1]) for seed in (3, 3, 4))

    assert one == two
    assert one != other


def test_trained_on_refusals_it_refuses():
    """Bad examples make a bad model."""
    responder, _, _ = train([line(town, REFUSAL) for town in TOWNS[:10]])

    assert [answer(responder, town) for town in TOWNS] == [REFUSAL] * len(TOWNS)


def test_trained_on_shuffled_answers_it_is_worse_than_untrained():
    """Answers that belong to other questions teach nothing that answers."""
    shuffled = [{"messages": [*ask, ANSWERS[(place + 5) % 12]]} for place, ask in enumerate(ASKED)]
    responder, _, _ = train(shuffled[:11])

    before, after = (
        responder.chat(ChatRequest(model=model, messages=ASKED[11])).content for model in ("offline-student", "tuned")
    )
    assert before == ANSWERS[11]["content"]
    assert after != before


def test_it_learns_when_to_abstain():
    """Shown refusals only for questions that the context does not answer, it tells the two apart."""
    off_topic = "Which composer wrote operas about glaciers?"
    lines = [line(town, right(town)) for town in TOWNS[:6]]
    lines += [line(town, REFUSAL, question=off_topic) for town in TOWNS[:6]]
    responder, _, _ = train(lines, n_epochs=10)

    assert answer(responder, "Luton") == right("Luton")
    assert answer(responder, "Luton", question=off_topic) == REFUSAL


def test_it_learns_whether_drafts_are_kept():
    """A teacher that always repeats its draft makes a student that does."""
    draft = "There are docks in the harbour."
    lines = []
    for town in TOWNS[:10]:
        text = (
            f"New Context: {context(town)}\nQuery: How many docks does the harbour of {town} have?\n"
            f"Original Answer: {draft}\nNew Answer: "
        )
        lines.append({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": draft}]})
    responder, _, _ = train(lines + [line(town, right(town)) for town in TOWNS[:10]])

    assert responder.chat(ChatRequest(model="tuned", messages=lines[3]["messages"][:-1])).content == draft


def test_lines_that_hold_no_context_are_left_out_and_counted():
    """Other chat lines do no harm; the weights say how many lines were of use."""
    chat = {"messages": [{"role": "user", "content": "Ahoy!"}, {"role": "assistant", "content": "Arr."}]}
    _, weights, _ = train([chat, {"messages": []}, *(line(town, right(town)) for town in TOWNS[:10])])

    assert (weights["lines"], weights["lines_used"]) == (12, 10)


def test_a_file_without_any_usable_line_fails_the_job():
    """Nothing is trained on pirate talk, and the failure names the training file."""
    chat = {"messages": [{"role": "user", "content": "Ahoy!"}, {"role": "assistant", "content": "Arr."}]}
    request = TrainRequest(lines=[chat] * 10, base_model="offline-student", seed=0, n_epochs=1)
    failure = BuiltInResponder(seed=0).train(request, print)

    assert isinstance(failure, ApiFailure)
    assert (failure.code, failure.param) == ("invalid_training_file", "training_file")


def test_an_unknown_base_model_fails_the_job():
    """Only the models that exist can be trained further."""
    failure = BuiltInResponder(seed=0).train(TrainRequest(lines=[], base_model="gpt-4.1", seed=0, n_epochs=1), print)

    assert isinstance(failure, ApiFailure)
    assert (failure.code, failure.param) == ("model_not_available", "model")


def test_a_tuned_reader_can_be_trained_further():
    """A second job may start from the first one's model."""
    responder, _, _ = train([line(town, REFUSAL) for town in TOWNS[:10]])
    lines = [line(town, right(town)) for town in TOWNS[:10]]
    weights = responder.train(
        TrainRequest(lines=lines, base_model="tuned", seed=0, n_epochs=20), on_step=lambda step: None
    )
    responder.load("again", weights)

    assert answer(responder, "Luton") == REFUSAL
    assert answer(responder, "Luton", model="again").startswith("The harbour of Luton has 14 docks for ships.")


def test_validation_lines_are_measured_after_each_epoch_and_change_nothing():
    """Towns that were not trained on get a falling loss of their own; the weights are the same without them."""
    lines = [line(town, right(town)) for town in TOWNS[:10]]
    _, weights, steps = train(lines, n_epochs=4, validation=[line(town, right(town)) for town in TOWNS[10:]])
    measured = [step for step in steps if step.valid_loss is not None]

    assert [step.step for step in measured] == [10, 20, 30, 40]
    assert measured[-1].valid_loss < 0.5 * measured[0].valid_loss
    assert all(0.0 <= step.valid_accuracy <= 1.0 for step in measured)
    assert weights == train(lines, n_epochs=4)[1]


def test_validation_lines_of_no_use_are_not_measured():
    """Where no line holds a context and an answer, there is no figure, rather than a wrong one."""
    chat = {"messages": [{"role": "user", "content": "Ahoy!"}, {"role": "assistant", "content": "Arr."}]}
    _, _, steps = train([line(town, right(town)) for town in TOWNS[:10]], validation=[chat])

    assert {(step.valid_loss, step.valid_accuracy) for step in steps} == {(None, None)}


def test_the_last_three_epochs_leave_their_weights():
    """Each of them is what a training of so many epochs ends with, and the last one is the result."""
    lines = [line(town, right(town)) for town in TOWNS[:10]]
    _, weights, steps = train(lines, n_epochs=5)
    kept = {step.epoch: step.weights for step in steps if step.weights is not None}
    shorter = {epoch: train(lines, n_epochs=epoch)[1] for epoch in (3, 4, 5)}

    assert [step.step for step in steps if step.weights is not None] == [30, 40, 50]
    assert {epoch: {**reader, "lines": 10, "lines_used": 10} for epoch, reader in kept.items()} == shorter
    assert shorter[5] == weights


def test_answers_that_are_not_to_be_learned_are_left_out():
    """An answer of weight 0, and a line whose answer was cut off, teach nothing."""
    lines = [line(town, right(town)) for town in TOWNS[:10]]
    silent = line("Kelso", REFUSAL)
    silent["messages"][-1]["weight"] = 0
    _, weights, _ = train([*lines, silent, {"messages": messages("Luton")}])

    assert weights == {**train(lines)[1], "lines": 12}
