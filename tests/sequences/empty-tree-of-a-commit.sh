# As above, and nothing else names it; with SHA-256.
git init --quiet --object-format=sha256
git update-ref HEAD $(git commit-tree -m empty $(git hash-object -t tree /dev/null))
git vault snapshot
echo 1 > a.txt; git add a.txt
git vault snapshot
