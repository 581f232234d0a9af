"""What every test module shares: how cassettes are recorded and replayed, and the table of conformance."""

import pytest
from cassette_files import (
    CASSETTES,
    MATCHED,
    OFFLINE_PORT,
    Source,
    StatingSerializer,
    same_body,
    service_to_record,
    without_identity,
)
from conformance.table import columns_of, render

from llama_index_ft_rag.offline import OfflineBackend, serve

_source = pytest.StashKey[Source]()


def pytest_configure(config):
    """Load our fixtures, and name our marker."""
    # Its entry point is switched off in pyproject.toml: it would be imported before coverage is measured.
    if not config.pluginmanager.has_plugin("ft_rag"):
        config.pluginmanager.import_plugin("llama_index_ft_rag.pytest_plugin")
    config.addinivalue_line(
        "markers",
        "offline_service(models=..., **settings): how the offline backend is set up while this test is recorded;"
        " such a test is recorded from no other service.",
    )


def pytest_collection_modifyitems(config, items):
    """Leave tests alone whose cassette only the offline backend can give, when another service is recorded."""
    if config.getoption("--record-mode") in (None, "none") or service_to_record() == "offline":
        return
    # Here and not in the fixture: by then the old cassette would be gone.
    scripted = [item for item in items if item.get_closest_marker("offline_service")]
    config.hook.pytest_deselected(items=scripted)
    items[:] = [item for item in items if item not in scripted]


def pytest_terminal_summary(terminalreporter):
    """Print what the witnesses of conformance said, where they ran."""
    columns = columns_of(report for reports in terminalreporter.stats.values() for report in reports)
    if columns:
        terminalreporter.section("conformance of the offline backend")
        terminalreporter.write_line("\n".join(render(columns)))


def pytest_recording_configure(config, vcr):
    """Compare JSON by its value, and write into each cassette what it is recorded from."""
    vcr.register_matcher("body_by_value", same_body)
    vcr.register_serializer("yaml", StatingSerializer(lambda: config.stash.get(_source, Source.offline())))


@pytest.fixture(scope="module")
def vcr_config():
    """Match what decides the answer; keep out what identifies anybody."""
    return {
        "match_on": MATCHED,
        "decode_compressed_response": True,
        "before_record_request": without_identity,
        "before_record_response": without_identity,
    }


@pytest.fixture(scope="module")
def vcr_cassette_dir(request):
    """All cassettes lie in one folder at the top of the repository, one sub-folder per test module."""
    return str(CASSETTES / request.module.__name__)


@pytest.fixture
def service(request, record_mode, vcr_cassette_dir, default_cassette_name, tmp_path_factory):
    """The service that answers this test: it is up only while recording, and replayed from then on."""
    marker = request.node.get_closest_marker("offline_service")
    settings = dict(marker.kwargs) if marker else {}
    models = settings.pop("models", None)
    if record_mode == "none":
        yield Source.of_cassette(f"{vcr_cassette_dir}/{default_cassette_name}.yaml")
        return
    if service_to_record() == "openai":
        request.config.stash[_source] = Source.from_environment()
        yield request.config.stash[_source]
        return
    source = request.config.stash[_source] = Source.offline(models)
    state = tmp_path_factory.mktemp("service")
    with OfflineBackend(state, clock=lambda: 1_760_000_000.0, **settings) as backend, serve(backend, port=OFFLINE_PORT):
        yield source
