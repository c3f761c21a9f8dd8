# Completions of git-vault for fish: `git vault <TAB>` and `git-vault <TAB>`.
function __git_vault_complete
    test -x @PROGRAM@; or return
    set -l current (commandline -ct)
    for line in (@PROGRAM@ complete words -- (commandline -opc) $current 2>/dev/null)
        if string match -q ':files*' -- $line
            __fish_complete_path $current
        else
            echo $line
        end
    end
end
function __git_vault_is_ours
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -C -c --git-dir --work-tree --namespace
                set -e words[1]
                set -q words[1]; and set -e words[1]
            case '-*'
                set -e words[1]
            case vault
                return 0
            case '*'
                return 1
        end
    end
    return 1
end
complete -c git-vault -f -a '(__git_vault_complete)'
complete -c git -n __git_vault_is_ours -f -a '(__git_vault_complete)'
