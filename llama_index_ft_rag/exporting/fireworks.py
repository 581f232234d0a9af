"""Fireworks: chat messages with their tools, and a script that uploads them and starts the job.

In: examples and a plan. Out: rows, and the text of `start.py`. A data set is named by its content, so that the same
one is uploaded once; a job by its data and settings, so that it is started once. No key is written: the script reads
`FIREWORKS_API_KEY` and `FIREWORKS_ACCOUNT_ID`. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.exporting.chat_rows import chat_row
from llama_index_ft_rag.exporting.configuration_text import python_text
from llama_index_ft_rag.exporting.trainer_form import TRAIN_FILE, VALIDATION_FILE, Row, TrainerForm, TrainingPlan

SCRIPT_FILE = "start.py"
FEWEST_EXAMPLES = 3

_SCRIPT = '''

def digest(*parts):
    return hashlib.sha256(b"\\0".join(parts)).hexdigest()[:16]


def upload(client, name):
    """Upload a file, unless the same one is there already; wait until it can be used."""
    path = FOLDER / name
    data = path.read_bytes()
    if len(data) > MOST_BYTES:
        raise SystemExit(f"{name}: has more than 150 MB; upload it with `firectl dataset create`")
    dataset_id = "ft-rag-" + digest(data)
    try:
        state = client.datasets.get(dataset_id=dataset_id).state
    except fireworks.NotFoundError:
        count = sum(1 for line in data.split(b"\\n") if line.strip())
        client.datasets.create(dataset_id=dataset_id, dataset={"exampleCount": str(count)})
        state = "NEW"
    if state != "READY":
        client.datasets.upload(dataset_id=dataset_id, file=path)
    deadline = time.monotonic() + DEADLINE_S
    while client.datasets.get(dataset_id=dataset_id).state != "READY":
        if time.monotonic() > deadline:
            raise SystemExit(f"{name}: not ready after {DEADLINE_S} seconds; run this again later")
        time.sleep(2)
    print(f"{name}: data set {dataset_id}")
    return dataset_id


for variable in ("FIREWORKS_API_KEY", "FIREWORKS_ACCOUNT_ID"):
    if not os.environ.get(variable):
        raise SystemExit(f"export {variable} first")
client = fireworks.Fireworks()
account = os.environ["FIREWORKS_ACCOUNT_ID"]
datasets = {name: upload(client, name) for name in (TRAIN, VALIDATION) if name}
job_id = "ft-rag-" + digest(*(part.encode() for part in (MODEL, str(EPOCHS), *datasets.values())))
settings = {"evaluation_dataset": f"accounts/{account}/datasets/{datasets[VALIDATION]}"} if VALIDATION else {}
try:
    job = client.supervised_fine_tuning_jobs.create(
        supervised_fine_tuning_job_id=job_id,
        dataset=f"accounts/{account}/datasets/{datasets[TRAIN]}",
        base_model=MODEL,
        epochs=EPOCHS,
        **settings,
    )
except fireworks.ConflictError:
    raise SystemExit(f"job {job_id}: was started before; look at it in the dashboard") from None
print(f"started {job.name}")
'''


def fireworks_row(example: TrainingExample) -> Row:
    """Write an example in OpenAI's chat format, which Fireworks takes.

    Raises:
        InexpressibleError: If it has no form for it.
    """
    return chat_row(example, weights=True)


def fireworks_configuration(plan: TrainingPlan) -> Mapping[str, str]:
    """Write `start.py`."""
    settings: dict[str, str | int | None] = {
        "MODEL": plan.model,
        "TRAIN": TRAIN_FILE,
        "VALIDATION": VALIDATION_FILE if plan.has_validation else None,
        "EPOCHS": plan.epochs,
        "DEADLINE_S": 600,
        "MOST_BYTES": 150_000_000,
    }
    lines = [
        '"""Uploads the examples in this folder to Fireworks and starts a fine-tuning job, which costs money."""',
        "",
        "import hashlib\nimport os\nimport time\nfrom pathlib import Path",
        "",
        "import fireworks",
        "",
        "FOLDER = Path(__file__).resolve().parent",
        *(f"{name} = {python_text(value)}" for name, value in settings.items()),
    ]
    return {SCRIPT_FILE: "\n".join(lines) + "\n" + _SCRIPT}


FIREWORKS = TrainerForm(
    title="Fireworks",
    row=fireworks_row,
    configuration=fireworks_configuration,
    install='pip install "fireworks-ai>=1.2"',
    command=f"python {SCRIPT_FILE}",
    default_model="accounts/fireworks/models/qwen3-8b",
    versions="fireworks-ai 1.2.30",
    sources=(
        "https://docs.fireworks.ai/fine-tuning/fine-tuning-models",
        "https://docs.fireworks.ai/api-reference/create-supervised-fine-tuning-job",
    ),
    fewest=FEWEST_EXAMPLES,
    notes=(
        "Export FIREWORKS_API_KEY and FIREWORKS_ACCOUNT_ID. The examples are sent to Fireworks; the job starts at once "
        "and costs money.",
        "There is no seed to set there.",
    ),
)
