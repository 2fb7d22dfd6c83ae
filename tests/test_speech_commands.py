"""Spoken words: recordings and synthesised ones, as log-mel frames."""

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines import speech_commands
from data_pipelines.speech_commands import WORDS, Config, make_stream
from data_pipelines.speech_frames import NUM_BANDS, NUM_FRAMES, RATE, frames_of, log_mel_frames
from data_pipelines.spoken_words import PRONUNCIATIONS, speak
from data_pipelines.storage import DataWarning
from trainers.run import main
from trainers.settings import parse
from trainers.speech_commands import BENCHMARK

SMALL = Config(num_tasks=2, clips_per_word=6)


def batch_of(split, size=100):
    return next(iter(split.in_order(size, 0)))


# --- frames ----------------------------------------------------------------------------------------------------------


def mel_of_reference(wave):
    """The same formula in NumPy: triangles on the mel scale 1127 ln(1 + f / 700), of bins 1 to 512."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)
    frames = np.stack([wave[320 * step : 320 * step + 640] * window for step in range(NUM_FRAMES)])
    magnitudes = np.abs(np.fft.rfft(frames, 1024))
    mel = 1127 * np.log(1 + np.linspace(0, RATE / 2, 513) / 700)
    edges = np.linspace(*(1127 * np.log(1 + np.array([60.0, 7600.0]) / 700)), NUM_BANDS + 2)
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    triangles[0] = 0
    return np.clip(np.round(255 * (np.log(magnitudes @ triangles + 1e-3) + 7) / 13), 0, 255)


def test_frames_are_log_mel_bands():
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, RATE) * np.linspace(0, 1, RATE)
    frames = log_mel_frames(tf.constant(wave[np.newaxis], tf.float32)).numpy()
    assert frames.shape == (1, NUM_FRAMES, NUM_BANDS)
    np.testing.assert_allclose(frames[0].astype(float), mel_of_reference(wave), atol=1)


def test_a_tone_lights_up_the_band_of_its_pitch():
    tones = np.sin(2 * np.pi * np.array([[300.0], [1000.0], [3000.0]]) * np.arange(RATE) / RATE)
    peaks = log_mel_frames(tf.constant(tones, tf.float32)).numpy().mean(axis=1).argmax(axis=1)
    assert list(peaks) == sorted(peaks) and len(set(peaks)) == 3


def test_frames_are_those_within_a_recording_and_at_least_one():
    numbers = tf.constant([0, 100, 640, 959, 960, RATE - 1, RATE, 2 * RATE])
    assert frames_of(numbers).numpy().tolist() == [1, 1, 1, 1, 2, 48, 49, 49]


# --- synthesised words -----------------------------------------------------------------------------------------------


def test_words_are_spoken_by_many_speakers():
    waves = speak("yes", 12, seed=3)
    again = speak("yes", 5, seed=3)
    np.testing.assert_array_equal(waves.samples[:5], again.samples)
    np.testing.assert_array_equal(waves.lengths[:5], again.lengths)
    assert len({wave.tobytes() for wave in waves.samples}) == 12
    assert np.abs(waves.samples).max() <= 1
    assert (waves.lengths < RATE).any() and (waves.lengths == RATE).any()
    for wave, length in zip(waves.samples, waves.lengths, strict=True):
        assert not wave[length:].any()
    assert not np.array_equal(speak("yes", 5, seed=4).samples, again.samples)


def test_every_word_has_a_pronunciation():
    assert tuple(PRONUNCIATIONS) == WORDS


def from_the_onset(frames):
    """25 frames [N, 25 * 40] from where each recording [N, 49, 40] becomes loud, without its mean."""
    loudest = frames.max(axis=2)
    onsets = (loudest > loudest.max(axis=1, keepdims=True) - 0.23).argmax(axis=1)  # 20 dB
    steps = np.minimum(onsets[:, None] + np.arange(25), NUM_FRAMES - 1)
    words = frames[np.arange(len(frames))[:, None], steps].reshape(len(frames), -1)
    return words - words.mean(axis=1, keepdims=True)


def test_words_can_be_told_apart_whoever_speaks():
    """The nearest mean of 60 other speakers names a third of the words; a tenth would be chance."""
    (task,) = make_stream(Config(words_per_task=10))
    train, test = batch_of(task.train, 600), batch_of(task.test, 300)
    known, heard = (from_the_onset(batch.inputs.numpy()) for batch in (train, test))
    labels = train.targets.numpy()[:, 0]
    means = np.stack([known[labels == word].mean(axis=0) for word in range(10)])
    named = ((heard[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
    assert (named == test.targets.numpy()[:, 0]).mean() > 0.3


# --- the stream ------------------------------------------------------------------------------------------------------


def test_a_task_has_its_words_and_is_asked_at_the_last_frame():
    stream = make_stream(Config(words=("yes", "no", "up", "go", "on"), clips_per_word=6))
    assert [task.name for task in stream] == ["yes_no", "up_go"]
    assert stream.num_outputs == 2
    batch = batch_of(stream[1].train)
    assert batch.inputs.shape == (12, NUM_FRAMES, NUM_BANDS)
    assert batch.inputs.numpy().min() >= 0 and batch.inputs.numpy().max() <= 1
    np.testing.assert_array_equal(batch.loss_weights.numpy().argmax(axis=1), batch.lengths.numpy() - 1)
    assert batch.loss_weights.numpy().sum() == 12
    assert sorted(batch.targets.numpy()[:, 0].tolist()) == [0] * 6 + [1] * 6
    sizes = [
        (task.train.num_examples, task.validation.num_examples, task.test.num_examples)
        for task in make_stream(Config(num_tasks=1))
    ]
    assert sizes == [(120, 30, 60)]


def test_a_word_sounds_the_same_whatever_else_is_learned():
    one, other = make_stream(SMALL)[1], make_stream(Config(words=("off", "left", "no"), clips_per_word=6))[0]
    mine = {inputs.tobytes() for inputs in batch_of(one.test).inputs.numpy()}
    theirs = {inputs.tobytes() for inputs in batch_of(other.test).inputs.numpy()}
    assert len(mine & theirs) == 6  # those of "left"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"words": ("yes", "maybe")}, "data.words must be among down, .* Received: maybe."),
        ({"words": ("yes", "yes")}, "data.words must differ. Received: yes, yes."),
        ({"num_tasks": 6}, "data.num_tasks must be at most 5: 10 words, 2 to a task. Received: 6."),
        ({"words": ("yes",)}, "data.num_tasks must be at most 0: 1 words, 2 to a task. Received: 1."),
        ({"words_per_task": 1}, r"data.words_per_task must be in \[2, 10\]. Received: 1."),
        ({"clips_per_word": 0}, "data.clips_per_word must be above 0, or None. Received: 0."),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        Config(**settings)


# --- recordings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tfds(tmp_path, monkeypatch):
    pytest.importorskip("importlib_resources", reason="TensorFlow Datasets needs importlib_resources")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return pytest.importorskip("tensorflow_datasets", reason="TensorFlow Datasets is the extra 'datasets'")


def test_recordings_are_read_from_tfds_and_other_sounds_are_left_out(tfds):
    def as_dataset(self, *, split, **reading):
        labels = tf.range(36, dtype=tf.int64) % 12  # every word, silence and other words, in turn
        lengths = 8000 + 500 * tf.range(36)  # up to 25,500 samples: longer ones are cut

        def example(label, length):
            return {
                "audio": tf.cast(1000 * (label + 1) * (tf.range(tf.cast(length, tf.int64)) % 2), tf.int16),
                "label": label,
            }

        return tf.data.Dataset.from_tensor_slices((labels, lengths)).map(example)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        stream = make_stream(Config(source="tfds"))
        few = make_stream(Config(source="tfds", num_tasks=1, clips_per_word=2))
    assert [task.name for task in stream] == ["down_go", "left_no", "off_on", "right_stop", "up_yes"]
    assert stream.data_source == "TensorFlow Datasets, speech_commands 0.0.3"
    batch = batch_of(stream[0].train)
    assert sorted(batch.lengths.numpy().tolist()) == [24, 25, 42, 44, 49, 49]
    assert sorted(batch.targets.numpy()[:, 0].tolist()) == [0, 0, 0, 1, 1, 1]
    assert few[0].train.num_examples == 4
    names = tfds.builder("speech_commands").info.features["label"].names
    assert tuple(names[: len(WORDS)]) == WORDS


def test_recordings_that_mock_data_makes_itself_are_read(tfds):
    with tfds.testing.mock_data(num_examples=60):
        assert make_stream(Config(source="tfds", num_tasks=1))[0].test.num_examples > 2
    with tfds.testing.mock_data(num_examples=1), pytest.raises(ConfigurationError, match="has no recording of"):
        make_stream(Config(source="tfds"))


def test_recordings_that_are_not_there_are_named_with_what_would_fetch_them(tfds, tmp_path):
    with pytest.raises(ConfigurationError, match=r"speech_commands is not in .* --download \(2 files, 2,541.5 MB\)"):
        make_stream(Config(source="tfds"))
    with pytest.raises(ConfigurationError, match="--download fetches what --source tfds reads. Received: .* synthetic"):
        speech_commands.download(Config())


# --- the command -----------------------------------------------------------------------------------------------------


def test_without_a_preset_synthesised_words_are_learned_and_recordings_where_they_are_named():
    assert parse(BENCHMARK, []).preset == "starter_hnet"
    assert parse(BENCHMARK, ["--method", "masking"]).preset == "starter_fine_tuning"
    recorded = parse(BENCHMARK, ["--source", "tfds", "--method", "si"])
    assert (recorded.preset, recorded.experiment.data.source) == ("si", "tfds")
    assert parse(BENCHMARK, ["--preset", "hnet"]).experiment.data == Config(source="tfds")


def test_a_quick_run_ends(tmp_path, capsys):
    words = ["--quick", "--method", "fine_tuning", "--train.steps", "2", "--out", str(tmp_path / "run")]
    assert main(BENCHMARK, words) == 0
    assert "data: words of a speech synthesiser, data seed 42" in capsys.readouterr().out
    assert (tmp_path / "run" / "export" / "down_go" / "1").is_dir()


def test_words_that_are_left_out_are_named():
    with pytest.warns(DataWarning, match="data.words_per_task 2 leaves these words out: right."):
        make_stream(Config(words=("up", "down", "right"), clips_per_word=5))
