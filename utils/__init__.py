"""The course's own rooms, in the order data flows. Each may use the ones before it.

settings      what runs where: COURSE_* read once; CourseError
claims        claim, claim_better, intervals
files         files that are there whole or not at all; locks
download/     an archive or your own folder becomes a clean tree; retry and mirrors: transfer.py
data          transforms, the split, loaders as notebook 01 types them; decoding once
models        the custom CNN, the backbones, freezing, stages
training      train_one_epoch, evaluate, and fit: history, checkpoints, exact resume
features      a frozen backbone computed once, and heads on its features
finetuning    kept statistics, unfreezing by stages, learning rates
runs          finished runs: saved, found again, compared
recipes       the runs of notebooks 02, 03 and 04, made where they are missing
predict       a run names new images; python -m utils.predict
inspection/   duplicates among images
distributed/  one training shared by several processes
plots/        every figure, in words too; maps of Grad-CAM (typed in notebook 05): inspection.py
widgets/      every slider and button: of few images in features.py, of a kernel in network.py
exercises/    the checks of the exercises, a file per notebook
"""
