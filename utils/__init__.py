"""The course's own rooms, in the order data flows. Each may use the ones before it.

settings      what runs where: COURSE_* read once; CourseError
claims        claim, claim_better, intervals
files         files that are there whole or not at all; locks
download/     an archive or your own folder becomes a clean tree of images; ResNet-101's weights
data          transforms, split, loaders as notebook 01 types them; decoding once
models        the custom CNN, the backbones, freezing, stages
training      train_one_epoch, evaluate, and fit: history and exact resume
features      a frozen backbone computed once, and heads on its features
finetuning    kept statistics, unfreezing by stages, learning rates
runs          finished runs: saved, found again, compared
recipes       the runs of notebooks 02, 03 and 04, made where they are missing
predict       a run names new images; python -m utils.predict
inspection/   duplicates among images
distributed/  one training shared by several processes
plots/        every figure, with its description in words
widgets/      every slider and button
exercises/    the checks of the exercises, a file per notebook
"""
