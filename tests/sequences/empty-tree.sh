# Git has the empty tree built in, and names it without storing it: in the cached trees of an index without entries, and in a
# commit that is made by hand. A snapshot was refused for want of it.
git init --quiet
git update-index --add --cacheinfo 100644,$(echo 0 | git hash-object -w --stdin),a.txt
git commit -qm '0'
git add -A
git switch -q main
git vault snapshot
echo 1 > a.txt; git add a.txt; git commit -qm '1'
git update-ref refs/heads/empty $(git commit-tree -m empty $(git hash-object -t tree /dev/null))
git vault snapshot
git switch -q empty
git vault snapshot
