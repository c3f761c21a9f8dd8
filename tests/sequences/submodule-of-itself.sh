# A submodule that is a clone of the repository itself brings a pack of the very same objects under the very same name, which
# the vault refused.
git init --quiet
seq 9 > a.txt; git add a.txt; git commit -qm base
git vault snapshot
git -c protocol.file.allow=always submodule --quiet add ./. module
git vault snapshot
git clone -q . one; git clone -q . two
git update-index --add --cacheinfo 160000,$(git -C one commit-tree -m empty $(git hash-object -t tree /dev/null)),one
git -C one update-ref refs/heads/empty $(git -C one commit-tree -m empty $(git hash-object -t tree /dev/null))
git -C two update-ref refs/heads/empty $(git -C two commit-tree -m empty $(git hash-object -t tree /dev/null))
git vault snapshot
