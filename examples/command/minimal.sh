#!/bin/sh
# The least that a trainer for mambafleet's `command` backend is (docs/command-backend.md). What it
# "learns" are five fixed quantiles, -1.5 -0.5 0 0.5 1.5, for every window and every horizon.
quantiles='\0\0\300\277\0\0\0\277\0\0\0\0\0\0\0\077\0\0\300\077'
member() { printf '%s' "$request" | sed "s/.*\"$1\":\"*\([^\",]*\).*/\1/"; }
array() { # NAME SHAPE BYTES: begins a safetensors file with one array
    header="{\"$1\":{\"dtype\":\"F32\",\"shape\":[$2],\"data_offsets\":[0,$3]}}"
    printf "\\$(printf '%o' ${#header})\0\0\0\0\0\0\0%s" "$header"
}
echo '{"mambafleet":1,"type":"hello","name":"minimal.sh"}'
while read -r request; do
    if [ "$(member type)" = train ]; then
        { array quantiles 5 20 && printf "$quantiles"; } >"$(member weights)"
        echo '{"mambafleet":1,"type":"done"}'
    else
        row=$(tail -c 20 "$(member weights)" | od -An -v -to1 | tr -d '\n' | sed 's/  */\\/g')
        samples=$(member samples) outputs=$(member outputs) left=$((samples * outputs / 5))
        {
            array predictions "$samples,$outputs" $((samples * outputs * 4))
            while [ $((left -= 1)) -ge 0 ]; do printf "$row"; done
        } >"$(member predictions)"
        echo '{"mambafleet":1,"type":"predicted"}'
    fi
done
