"""Calls of the openai client that have to do with files, jobs, models and batches."""

# ruff: noqa: D103 - the name of a call says what it does

from __future__ import annotations

import io
import json
import pathlib
import tempfile
import warnings
from typing import Any

import openai

from conformance.client_api import ANSWER, LINE, MODEL, QUESTION, TRAINING, Api, call, expect
from llama_index_ft_rag.offline import ServiceConditions


@call("files.create", "POST /v1/files")
async def upload_of_bytes(api: Api) -> None:
    made = await api(api.client.files.create(file=TRAINING, purpose="fine-tune"))
    expect((made.filename, made.bytes, made.purpose), ("train.jsonl", 12 * len(LINE), "fine-tune"))


@call("files.create", "POST /v1/files")
async def upload_of_a_path(api: Api) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "of a path.jsonl"
        path.write_bytes(LINE)
        made = await api(api.client.files.create(file=path, purpose="fine-tune"))
    expect(made.filename, "of a path.jsonl")


@call("files.create", "POST /v1/files")
async def upload_of_a_file_handle(api: Api) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"\x00\r\n--\xff")
        file.seek(0)
        made = await api(api.client.files.create(file=("any.bin", file), purpose="user_data"))
    content = await api(api.client.files.content(made.id))
    expect(content.read(), b"\x00\r\n--\xff")


@call("files.create", "POST /v1/files")
async def upload_that_expires(api: Api) -> None:
    lifetime: Any = {"anchor": "created_at", "seconds": 3600}
    made = await api(
        api.client.files.create(file=io.BytesIO(LINE), purpose="user_data", extra_body={"expires_after": lifetime})
    )
    expect(made.expires_at, made.created_at + 3600)


@call("files.create", "POST /v1/files")
async def upload_that_is_not_json_lines(api: Api) -> None:
    await api.refused(
        openai.BadRequestError, None, lambda: api.client.files.create(file=("a", b"no"), purpose="fine-tune")
    )


@call("files.create", "POST /v1/files")
async def upload_that_is_too_large(api: Api) -> None:
    api.backend.conditions = ServiceConditions(max_file_bytes=10)
    await api.refused(openai.APIStatusError, None, lambda: api.client.files.create(file=TRAINING, purpose="fine-tune"))


@call("files.retrieve", "GET /v1/files/*")
async def retrieval_of_a_file(api: Api) -> None:
    file_id = await api.upload()
    found = await api(api.client.files.retrieve(file_id))
    expect((found.id, found.object, found.status), (file_id, "file", "processed"))


@call("files.retrieve", "GET /v1/files/*")
async def retrieval_of_no_file(api: Api) -> None:
    await api.refused(openai.NotFoundError, None, lambda: api.client.files.retrieve("file-gone"))


@call("files.wait_for_processing", "GET /v1/files/*")
async def wait_for_a_file(api: Api) -> None:
    found = await api(api.client.files.wait_for_processing(await api.upload(), poll_interval=0.01))
    expect(found.status, "processed")


@call("files.list", "GET /v1/files")
async def list_of_files(api: Api) -> None:
    made = [await api.upload() for _ in range(3)]
    listed = await api.each(api.client.files.list(purpose="fine-tune", order="asc", limit=2))
    expect([file.id for file in listed], made)


@call("files.content", "GET /v1/files/*/content")
async def content_of_a_file(api: Api) -> None:
    content = await api(api.client.files.content(await api.upload()))
    expect((content.content, content.text), (LINE * 12, LINE.decode() * 12))


@call("files.content", "GET /v1/files/*/content")
async def content_as_a_stream(api: Api) -> None:
    streaming = api.client.files.with_streaming_response.content(await api.upload())
    async with api.opened(streaming) as response:
        expect(await api(response.read()), LINE * 12)


@call("files.retrieve_content", "GET /v1/files/*/content")
async def content_the_old_way(api: Api) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        expect(await api(api.client.files.retrieve_content(await api.upload())), LINE.decode() * 12)


@call("files.delete", "DELETE /v1/files/*")
async def deletion_of_a_file(api: Api) -> None:
    file_id = await api.upload()
    gone = await api(api.client.files.delete(file_id))
    expect((gone.id, gone.deleted), (file_id, True))
    await api.refused(openai.NotFoundError, None, lambda: api.client.files.delete(file_id))


@call("fine_tuning.jobs.create", "POST /v1/fine_tuning/jobs")
async def job_with_settings(api: Api) -> None:
    file_id = await api.upload()
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    job = await api(
        api.client.fine_tuning.jobs.create(
            model=MODEL, training_file=file_id, suffix="mine", seed=7, method=method, metadata={"run": "1"}
        )
    )
    expect((job.training_file, job.seed, job.status), (file_id, 7, "validating_files"))
    expect(job.method.supervised.hyperparameters.n_epochs, 2)


@call("fine_tuning.jobs.create", "POST /v1/fine_tuning/jobs")
async def job_on_no_file(api: Api) -> None:
    try:
        await api(api.client.fine_tuning.jobs.create(model=MODEL, training_file="file-gone"))
    except openai.BadRequestError as error:
        expect((error.status_code, error.param), (400, "training_file"))
    else:
        raise AssertionError("no BadRequestError")


@call("fine_tuning.jobs.create", "POST /v1/fine_tuning/jobs")
async def job_of_a_closed_organisation(api: Api) -> None:
    file_id = await api.upload()
    api.backend.conditions = ServiceConditions(training="closed")
    await api.refused(
        openai.PermissionDeniedError,
        "training_not_available",
        lambda: api.client.fine_tuning.jobs.create(model=MODEL, training_file=file_id),
    )


@call("fine_tuning.jobs.create", "POST /v1/fine_tuning/jobs")
async def one_job_too_many(api: Api) -> None:
    file_id = (await api.job()).training_file
    api.backend.conditions = ServiceConditions(max_active_jobs=1)
    await api.refused(
        openai.RateLimitError,
        "rate_limit_exceeded",
        lambda: api.client.fine_tuning.jobs.create(model=MODEL, training_file=file_id),
    )


@call("fine_tuning.jobs.retrieve", "GET /v1/fine_tuning/jobs/*")
async def life_of_a_job(api: Api) -> None:
    job = await api.job(looks=3)
    expect((job.status, len(job.result_files)), ("succeeded", 1))
    reply = await api(api.client.chat.completions.create(model=job.fine_tuned_model, messages=QUESTION))
    expect((reply.model, reply.choices[0].message.content), (job.fine_tuned_model, ANSWER))
    result = await api(api.client.files.content(job.result_files[0]))
    expect("train_loss" in result.text, True)


@call("fine_tuning.jobs.retrieve", "GET /v1/fine_tuning/jobs/*")
async def retrieval_of_no_job(api: Api) -> None:
    await api.refused(
        openai.NotFoundError, "fine_tune_not_found", lambda: api.client.fine_tuning.jobs.retrieve("ftjob-gone")
    )


@call("fine_tuning.jobs.list", "GET /v1/fine_tuning/jobs")
async def list_of_jobs(api: Api) -> None:
    made = [(await api.job()).id for _ in range(3)]
    listed = await api.each(api.client.fine_tuning.jobs.list(limit=2))
    expect([job.id for job in listed], made[::-1])


@call("fine_tuning.jobs.list_events", "GET /v1/fine_tuning/jobs/*/events")
async def list_of_events(api: Api) -> None:
    job = await api.job(looks=3)
    events = await api.each(api.client.fine_tuning.jobs.list_events(job.id, limit=2))
    expect({event.type for event in events}, {"message", "metrics"})
    expect(len({event.id for event in events}), len(events))


@call("fine_tuning.jobs.checkpoints.list", "GET /v1/fine_tuning/jobs/*/checkpoints")
async def list_of_checkpoints(api: Api) -> None:
    job = await api.job(looks=3)
    checkpoints = await api.each(api.client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
    expect({checkpoint.fine_tuning_job_id for checkpoint in checkpoints}, {job.id})
    model = checkpoints[0].fine_tuned_model_checkpoint
    reply = await api(api.client.chat.completions.create(model=model, messages=QUESTION))
    expect(reply.choices[0].message.content, ANSWER)


@call("fine_tuning.jobs.cancel", "POST /v1/fine_tuning/jobs/*/cancel")
async def cancelling_of_a_job(api: Api) -> None:
    cancelled = await api(api.client.fine_tuning.jobs.cancel((await api.job()).id))
    expect((cancelled.status, cancelled.fine_tuned_model), ("cancelled", None))


@call("fine_tuning.jobs.pause", "POST /v1/fine_tuning/jobs/*/pause")
async def pausing_of_a_job(api: Api) -> None:
    paused = await api(api.client.fine_tuning.jobs.pause((await api.job(looks=2)).id))
    expect(paused.status, "paused")


@call("fine_tuning.jobs.resume", "POST /v1/fine_tuning/jobs/*/resume")
async def resuming_of_a_job(api: Api) -> None:
    jobs = api.client.fine_tuning.jobs
    paused = await api(jobs.pause((await api.job(looks=2)).id))
    resumed = await api(jobs.resume(paused.id))
    expect(resumed.status in {"queued", "running"}, True)


@call("models.list", "GET /v1/models")
async def list_of_models(api: Api) -> None:
    expect([model.id for model in await api.each(api.client.models.list())], [MODEL])


@call("models.retrieve", "GET /v1/models/*")
async def retrieval_of_a_model(api: Api) -> None:
    api.backend.conditions = ServiceConditions(shutdown_dates={MODEL: "2999-01-01"})
    found = await api(api.client.models.retrieve(MODEL))
    expect((found.id, found.object, found.shutdown_date), (MODEL, "model", "2999-01-01"))


@call("models.retrieve", "GET /v1/models/*")
async def retrieval_of_no_model(api: Api) -> None:
    await api.refused(openai.NotFoundError, "model_not_found", lambda: api.client.models.retrieve("gone"))


@call("models.delete", "DELETE /v1/models/*")
async def deletion_of_a_tuned_model(api: Api) -> None:
    model = (await api.job(looks=3)).fine_tuned_model
    gone = await api(api.client.models.delete(model))
    expect((gone.id, gone.deleted), (model, True))


@call("models.delete", "DELETE /v1/models/*")
async def deletion_of_another_model(api: Api) -> None:
    await api.refused(openai.PermissionDeniedError, None, lambda: api.client.models.delete(MODEL))


@call("batches.create", "POST /v1/batches")
async def batch(api: Api) -> None:
    made = await api.batch()
    expect((made.status, made.endpoint), ("validating", "/v1/chat/completions"))


@call("batches.retrieve", "GET /v1/batches/*")
async def life_of_a_batch(api: Api) -> None:
    found = await api.batch()
    for _ in range(20):
        found = await api(api.client.batches.retrieve(found.id))
        if found.status == "completed":
            break
    expect((found.status, found.request_counts.completed), ("completed", 1))
    content = await api(api.client.files.content(found.output_file_id))
    answered = json.loads(content.text)["response"]
    expect((answered["status_code"], answered["body"]["choices"][0]["message"]["content"]), (200, ANSWER))


@call("batches.list", "GET /v1/batches")
async def list_of_batches(api: Api) -> None:
    made = [(await api.batch()).id for _ in range(3)]
    listed = await api.each(api.client.batches.list(limit=2))
    expect([batch.id for batch in listed], made[::-1])


@call("batches.cancel", "POST /v1/batches/*/cancel")
async def cancelling_of_a_batch(api: Api) -> None:
    cancelled = await api(api.client.batches.cancel((await api.batch()).id))
    expect(cancelled.status in {"cancelling", "cancelled"}, True)
