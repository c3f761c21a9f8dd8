# git gc does not keep the tree that AUTO_MERGE names; git goes on without it, and so does a snapshot. Later the tree is there
# again, and the first snapshot must still be what it says.
git init --quiet
echo base > a.txt; git add a.txt; git commit -qm base
git switch -qc side; echo side > a.txt; git commit -qam side
git switch -q main; echo main > a.txt; git commit -qam main
git merge side
git gc -q --prune=now
git vault snapshot
git merge --abort
git vault snapshot
git merge side
git vault snapshot
git gc -q --prune=now
git vault snapshot
