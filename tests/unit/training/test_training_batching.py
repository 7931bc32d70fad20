import json

import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import make_rows

from harness.training.batching import collate, epoch_order, eval_batches, idle_batch, read_rows, windows
from harness.training.job import TrainJob
from harness.training.launch import as_line
from harness.types import Encoded

lengths = st.lists(st.integers(2, 400), min_size=1, max_size=300)


@given(lengths, st.integers(1, 16), st.integers(0, 9), st.integers(0, 3), st.booleans())
def test_an_epoch_holds_every_row_once_and_is_a_function_of_seed_and_epoch(sizes, window, seed, epoch, group):
    order = epoch_order(sizes, window, seed, epoch, group=group)
    assert sorted(order) == list(range(len(sizes)))
    assert order == epoch_order(sizes, window, seed, epoch, group=group)


def test_epochs_and_seeds_differ():
    sizes = list(range(2, 102))
    orders = {
        tuple(epoch_order(sizes, 4, seed, epoch, group=group))
        for seed in (1, 2)
        for epoch in (0, 1)
        for group in (True, False)
    }
    assert len(orders) == 8


def test_group_by_length_pads_less_and_keeps_the_short_window_last():
    rows = make_rows(201, longest=100)
    sizes = [row.length for row in rows]

    def padded(group):
        order = epoch_order(sizes, 8, 0, 0, group=group)
        chunks = [order[i : i + 8] for i in range(0, len(order), 8)]
        assert len(chunks[-1]) == 1
        return sum(len(chunk) * max(sizes[i] for i in chunk) for chunk in chunks)

    assert padded(True) < 0.75 * padded(False)


@given(lengths, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_micro_batches_of_all_ranks_are_the_window(sizes, micro, accumulation, world):
    rows = make_rows(len(sizes))
    job = TrainJob(base="", base_ref="", micro_batch_size=micro, gradient_accumulation_steps=accumulation)
    seen = []
    steps = -(-len(rows) // (micro * accumulation * world))
    for window in windows(job, rows, steps, world=world):
        ranks = [window.micro_batches([row.length for row in rows], micro, rank, world) for rank in range(world)]
        assert len({len(batches) for batches in ranks}) == 1
        assert all(len(batch) <= micro for batches in ranks for batch in batches)
        assert max(len(batches) for batches in ranks) <= accumulation
        found = sorted(i for batches in ranks for batch in batches for i in batch)
        assert found == sorted(window.rows)
        seen += found
    assert sorted(seen) == list(range(len(rows)))


def test_windows_started_late_are_the_same_windows():
    job = TrainJob(base="", base_ref="", micro_batch_size=3, gradient_accumulation_steps=2)
    rows = make_rows(20)
    whole = list(windows(job, rows, 12))
    for start in range(12):
        assert list(windows(job, rows, 12, start=start)) == whole[start:]


def test_collate_counts_and_pads_on_the_right():
    rows = make_rows(5, seed=3)
    job = TrainJob(base="", base_ref="", pad_id=96)
    batch = collate(rows, job)
    longest = max(row.length for row in rows)
    assert batch.input_ids.shape == batch.labels.shape == (5, longest)
    assert batch.tokens == 5 * longest
    assert batch.non_pad == sum(row.length for row in rows)
    assert batch.trained == int((batch.labels[:, 1:] != -100).sum())
    for i, row in enumerate(rows):
        assert torch.equal(batch.input_ids[i, : row.length], row.input_ids)
        assert (batch.input_ids[i, row.length :] == 96).all()
        assert (batch.labels[i, row.length :] == -100).all()


def test_pad_to_sequence_len():
    batch = collate(make_rows(2), TrainJob(base="", base_ref="", sequence_len=64, pad_to_sequence_len=True))
    assert batch.input_ids.shape == (2, 64)


def test_an_idle_batch_trains_nothing():
    assert idle_batch(make_rows(1)[0], TrainJob(base="", base_ref="")).trained == 0


def test_eval_batches_hold_every_row_once():
    rows = make_rows(11)
    batches = list(eval_batches(rows, TrainJob(base="", base_ref="", eval_batch_size=4)))
    assert sorted(name for batch in batches for name in batch.row_ids) == sorted(row.id for row in rows)


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), min_size=2, max_size=40))
def test_rows_survive_the_way_to_the_child(tokens):
    import tempfile
    from pathlib import Path

    ids = [token for token, _ in tokens]
    labels = [token if trained else -100 for token, trained in tokens]
    labels[-1] = ids[-1]
    encoded = Encoded("a", tuple(ids), tuple(labels))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_text(json.dumps(as_line(encoded)) + "\n")
        row = read_rows(file)[0]
    assert row.id == "a"
    assert row.input_ids.tolist() == ids
    assert row.labels.tolist() == labels
    assert row.trained == sum(label != -100 for label in labels[1:])
