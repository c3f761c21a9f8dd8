# Linked worktrees that come, change, are locked and go; a submodule with work of its own; a repository inside the tree.
git init --quiet
seq 9 > a.txt; git add a.txt; git commit -qm base
git branch one
git worktree add -q ../linked one; echo 1 >> ../linked/a.txt; echo 2 > ../linked/new.txt
git vault snapshot
git -c protocol.file.allow=always submodule --quiet add ./. module
git commit -qm module
echo 3 >> module/a.txt; git -C module commit -qam 3; echo 4 > module/new.txt
git -C ../linked stash push -qu
git vault snapshot
git init -q nested; echo 5 > nested/x; git -C nested add x; git -C nested commit -qm 5; echo 6 > nested/y
git worktree lock ../linked
git vault snapshot
rm -rf ../linked
git submodule deinit -qf module
git vault snapshot
git worktree unlock ../linked; git worktree prune
git vault snapshot
