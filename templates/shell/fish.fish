# git-vault: captures the workspace before a git command that can destroy work. For config.fish:
#     git-vault shell-init fish | source

# Whether a git command can destroy work, told by its words. Only for a command that git does not have is git itself asked: it
# may be an alias.
function __git_vault_risky
    set -l depth $argv[1]
    set -l words $argv[2..-1]
    set -l globals
    set -l base ''
    test $depth -gt 9; and return 0
    while set -q words[1]
        switch $words[1]
            case -C
                set -q words[2]; or return 1
                if string match -q '/*' -- $words[2]
                    set base "$words[2]/"
                else if test -n "$words[2]"
                    set base "$base$words[2]/"
                end
                set -a globals $words[1..2]
                set words $words[3..-1]
            case -c --git-dir --work-tree --namespace --config-env --super-prefix --attr-source
                set -q words[2]; or return 1
                set -a globals $words[1..2]
                set words $words[3..-1]
            case '-*'
                set -a globals $words[1]
                set words $words[2..-1]
            case '*'
                break
        end
    end
    set -q words[1]; or return 1
    set -l verb $words[1]
    set words $words[2..-1]
    set -l first ''
    set -q words[1]; and set first $words[1]
    set -l risky
    switch $verb
        case checkout-index filter-branch filter-repo history prune read-tree rebase restore rm update-ref
            return 0
        case reset
            test "$first" != --soft
            return
        case clean
            not contains -- "$first" -n -nd -dn -nx -nX -ndx -ndX --dry-run
            return
        case stash
            contains -- "$first" drop clear pop apply branch
            return
        case worktree remote
            contains -- "$first" remove rm prune
            return
        case reflog
            contains -- "$first" expire delete drop
            return
        case sparse-checkout
            not contains -- "$first" '' list check-rules
            return
        case am cherry-pick merge revert
            set risky '^--(ab|sk|qu)'
        case apply
            set risky '^(-[^-]*R|--rev)'
        case branch
            set risky '^(-[^-]*[DMCf]|--f)'
        case checkout
            set risky '^(--$|\.$|-[^-]*[fBmp23]|--(f|m|o|p|th)|:|[^-].*[*?[]|[*?[])'
        case commit
            set risky '^--am'
        case fast-import
            set risky '^--f'
        case mv
            set risky '^(-[^-]*f|--f)'
        case gc
            set risky '^--pr'
        case lfs
            set risky '^prune$'
        case notes
            set risky '^(remove$|prune$|-f$|--f)'
        case pull
            set risky '^(-[^-]*[rf]|--(reb|au|f))'
        case push
            set risky '^(-[^-]*[fd]|--(f|m|de|pru)|\+|:)'
        case repack
            set risky '^-[^-]*[aAd]'
        case replace
            set risky '^--?[df]'
        case submodule
            set risky '^(deinit$|foreach$|-f$|--f)'
        case switch
            set risky '^(-[^-]*[fCm]|--(f|di|m|o))'
        case symbolic-ref
            set risky '^(-d$|--d)'
        case tag
            set risky '^(-[^-]*[df]|--[df])'
        case add annotate archive bisect blame bundle cat-file check-attr check-ignore cherry clone commit-graph commit-tree config \
                count-objects describe diff diff-files diff-index diff-tree difftool fast-export fetch for-each-ref format-patch \
                fsck grep gui hash-object help hook init interpret-trailers log ls-files ls-remote ls-tree maintenance merge-base \
                merge-file merge-tree mergetool multi-pack-index name-rev pack-refs range-diff rev-list rev-parse send-email \
                shortlog show show-branch show-ref status stripspace update-index var vault verify-commit verify-pack verify-tag \
                version whatchanged write-tree
            return 1
        case '*'
            set -l alias (command git $globals config --get "alias.$verb" 2>/dev/null | string collect)
            # What git does not have may be a slip that it puts right, a program of somebody else, or a line of shell.
            test -n "$alias"; or return 0
            string match -q '!*' -- $alias; and return 0
            # Git takes it apart at blanks, too; what quotes hold together does not matter here.
            set -l parts (string match -ar '\S+' -- $alias)
            __git_vault_risky (math $depth + 1) $globals $parts $words
            return
    end
    set -q words[1]; or return 1
    string match -qr -- $risky $words; and return 0
    test $verb = checkout; or return 1
    set -l operands 0
    for word in $words
        if not string match -q -- '-*' $word
            # One word may be a branch or a file; two are a branch and a file, unless a branch is made.
            set operands (math $operands + 1)
            test -e "$base$word"; and return 0
        end
    end
    test $operands -ge 2; and not string match -qr -- '^(-b|--b)' $words
end

if functions -q git; and not set -q __git_vault_shell
    echo "git-vault: there is a function 'git' already; it is left alone, and git is not guarded" >&2
else
    set -g __git_vault_shell 1
    function git --wraps git --description 'git, after a snapshot where work could be lost'
        if __git_vault_risky 0 $argv
            if test -x @PROGRAM@
                @PROGRAM@ guard --or-outside -- git $argv
                return
            end
            if not set -q __git_vault_gone
                set -g __git_vault_gone 1
                printf 'git-vault: %s is gone; git is not guarded in this shell any more\n' @PROGRAM@ >&2
            end
        end
        command git $argv
    end
end
