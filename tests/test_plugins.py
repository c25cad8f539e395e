"""Third-party packages: found by their entry point, and reported when they cannot be loaded."""

import sys

import pytest
from click.testing import CliRunner, Result

from capsmed import plugins
from capsmed.cli import main
from capsmed.config import Component, Experiment
from capsmed.data import whole_sets
from capsmed.data.whole_sets import register_data_source
from capsmed.engines import build, components
from capsmed.errors import ConfigError, DataError
from capsmed.losses import register_loss
from capsmed.networks import BACKBONES, NETWORKS, Routing
from tests.engines.blobs import tiny

NETWORK = """
from torch import nn
from capsmed.networks import register_network

class Mine(nn.Module):
    '''A network of somebody else.'''

register_network({name!r}, Mine)
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_module_is_imported(install) -> None:
    install("REGISTERED = True\n")
    assert [str(plugin) for plugin in plugins.load()] == ["mine (third-party)"]
    assert sys.modules["third_party"].REGISTERED


def test_a_function_is_called(install) -> None:
    install("CALLS = []\ndef register():\n    CALLS.append(1)\n", "mine = third_party:register")
    plugins.load()
    assert sys.modules["third_party"].CALLS == [1]


def test_what_it_registers_is_known_as_its_own_at_every_call(install) -> None:
    install(NETWORK.format(name="theirs"))
    for _ in range(2):
        (plugin,) = plugins.load()
        assert (plugin.components, plugin.failure) == ((("networks", "theirs"),), "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)\n", "SystemExit: 3"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def (\n", "SyntaxError: "),
        ("raise BaseExceptionGroup('all', [ValueError()])\n", "ExceptionGroup: all"),
    ],
)
def test_one_that_fails_is_reported_and_the_others_work(install, capsys, code, reason) -> None:
    install(code)
    install(NETWORK.format(name="theirs"), "sound = another", "another")
    mine, sound = plugins.load()
    assert mine.failure.startswith(reason)
    assert (sound.name, sound.failure) == ("sound", "") and "theirs" in NETWORKS
    told = capsys.readouterr().err
    assert f"Warning: the plugin mine (third-party) failed to load: {reason}" in told


@pytest.mark.parametrize("entry", ["mine = third_party:nothing", "mine = third party"])
def test_an_entry_point_that_names_nothing_is_reported(install, entry) -> None:
    install("", entry)
    assert plugins.load()[0].failure.startswith("AttributeError")


HALF = """
from capsmed.networks import BACKBONES, Routing, register
class Half(Routing["uniform"]):
    '''A routing that was registered in time.'''
register("half", Half)
BACKBONES["half"] = Half
"""


def test_what_a_plugin_registered_before_it_failed_is_forgotten(install) -> None:
    install(HALF + NETWORK.format(name="half") + "1 / 0\n")
    for _ in range(2):
        (plugin,) = plugins.load()
        assert plugin.failure.startswith("ZeroDivisionError") and not plugin.components
        assert "HALF" not in Routing.names and "half" not in NETWORKS | BACKBONES


def test_an_overwritten_routing_is_put_back(install) -> None:
    install("from capsmed.networks import Routing\nRouting.components.pop('EM')\n")
    em = Routing["em"]
    (plugin,) = plugins.load()
    assert plugin.failure.startswith("routings: expected 'em' to stay") and Routing["em"] is em


def test_a_sound_plugin_shares_a_module_with_a_failed_one(install) -> None:
    code = NETWORK.format(name="theirs") + "def fail():\n    1 / 0\n"
    install(code, "a_bad = third_party:fail\nmine = third_party")
    for _ in range(2):
        bad, sound = plugins.load()
        assert bad.failure.startswith("ZeroDivisionError") and not bad.components
        assert sound.components == (("networks", "theirs"),) and "theirs" in NETWORKS


def test_ctrl_c_while_a_plugin_is_imported_still_stops(install) -> None:
    install("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        plugins.load()


def test_what_a_plugin_prints_does_not_mix_with_results(install, capsys) -> None:
    install("print('hello from the plugin')\n")
    plugins.load()
    assert capsys.readouterr() == ("", "hello from the plugin\n")


def test_one_process_of_many_reports(install, capsys, monkeypatch) -> None:
    install("1 / 0\n")
    monkeypatch.setenv("RANK", "1")
    plugins.load()
    assert capsys.readouterr().err == ""


def test_a_name_that_is_taken_is_refused_with_both_places(install, capsys) -> None:
    install(NETWORK.format(name="capsnet"))
    taken = NETWORKS["capsnet"]
    (plugin,) = plugins.load()
    assert "'capsnet', which is capsmed.networks.nets.capsnet.CapsNet; " in plugin.failure
    assert "register third_party.Mine under another name" in plugin.failure
    assert NETWORKS["capsnet"] is taken


def test_a_name_overwritten_past_the_register_function_is_put_back(install) -> None:
    install("from capsmed.networks import BACKBONES, NETWORKS\nNETWORKS['capsnet'] = dict\n")
    taken = NETWORKS["capsnet"]
    (plugin,) = plugins.load()
    expected = "networks: expected 'capsnet' to stay capsmed.networks.nets.capsnet.CapsNet"
    assert plugin.failure.startswith(expected)
    assert NETWORKS["capsnet"] is taken


@pytest.mark.parametrize(
    "network",
    [
        {"name": "mine"},
        {"name": "capsnet", "routing": "mine"},
        {"name": "capsule_classifier", "backbone": "mine"},
    ],
)
def test_a_component_of_a_failed_plugin_is_missed_with_the_reason(install, network) -> None:
    install("1 / 0\n")
    plugins.load()
    experiment = tiny("cohort.csv").model_copy(
        update={"network": Component.model_validate(network)}
    )
    with pytest.raises(ConfigError, match=r"got 'mine'.*; the plugin mine \(third-party\) failed"):
        components.check_components(experiment)
        build.build_network(experiment.network, experiment, 2)


def test_a_data_source_of_a_failed_plugin_is_missed_with_the_reason(install, tmp_path) -> None:
    install("1 / 0\n")
    done = run("cohort", "check", "theirs", "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert "theirs was not found; check the path" in done.output
    assert "; the plugin mine (third-party) failed to load: ZeroDivisionError" in done.output


def test_a_failed_plugin_leaves_the_list_whole(install) -> None:
    install("1 / 0\n")
    done = run("list")
    assert done.exit_code == 0
    assert "capsnet" in done.output
    assert "mine (third-party)  failed to load: ZeroDivisionError" in done.output


def test_the_list_says_whose_a_component_is(install) -> None:
    install(NETWORK.format(name="theirs"))
    lines = run("list", "networks").output.splitlines()
    assert any(line.startswith("theirs") and "plugin third-party" in line for line in lines)
    assert "third-party: third_party.Mine" in run("list", "theirs").output


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits", "'digits', which is capsmed.data.whole_sets.digits.read; register"),
        ("demo", "'demo', which capsmed uses itself"),
        ("my/blobs", "expected an identifier, got 'my/blobs'"),
    ],
)
def test_a_data_source_needs_a_free_plain_name(name, message) -> None:
    with pytest.raises(ValueError, match=message):
        register_data_source(name, lambda: None)


def test_a_taken_name_of_a_loss_is_refused_with_both_places() -> None:
    with pytest.raises(ValueError, match=r"'margin', which is capsmed.*MarginLoss; .*Experiment"):
        register_loss("margin", Experiment)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: 1 / 0, "data source theirs: expected cases, got ZeroDivisionError: division"),
        (lambda: {}, "data source theirs: expected a WholeSet, got dict"),
    ],
)
def test_a_data_source_that_gives_no_cases_is_named(monkeypatch, read, message) -> None:
    monkeypatch.setitem(whole_sets.DATA_SOURCES, "theirs", read)
    with pytest.raises(DataError, match=message):
        whole_sets.read_source("theirs")


def test_a_file_of_a_sources_name_comes_first(tmp_path) -> None:
    (tmp_path / "digits").mkdir()
    done = run("cohort", "check", str(tmp_path / "digits"), "--out", str(tmp_path / "out"))
    assert "expected train-images-idx3-ubyte or .gz, found nothing" in done.output
