//! What functions are, by their names: the words that the resolver knows.

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlparser::ast::Function;

use super::names::lower;

pub(super) type Words = LazyLock<HashSet<&'static str>>;

/// Functions that put together several rows.
pub(super) static AGGREGATES: Words = LazyLock::new(|| {
    "any_value approx_count_distinct approx_distinct approx_median approx_percentile approx_quantiles approx_top_count
    approx_top_k approx_top_sum arbitrary arg_max arg_max_null arg_min arg_min_null argmax argmin array_agg array_concat_agg
    array_union_agg array_unique_agg avg bit_and bit_and_agg bit_or bit_or_agg bit_xor bit_xor_agg bitand_agg bitor_agg
    bitmap_construct_agg bool_and bool_or booland_agg boolor_agg boolxor_agg checksum_agg collect_list collect_set corr
    count count_big count_if countif covar_pop covar_samp every favg first fsum grouparray group_concat groupuniqarray
    hash_agg histogram hll hll_accumulate hll_combine json_agg json_arrayagg json_object_agg json_objectagg jsonb_agg
    jsonb_object_agg kurtosis last list listagg logical_and logical_or mad map_agg max max_by maxif max_if median min
    min_by minif min_if mode object_agg percentile percentile_approx percentile_cont percentile_disc product quantile
    quantile_cont quantile_disc regr_intercept regr_r2 regr_slope skewness st_union_agg std stddev stddev_pop
    stddev_samp stdev stdevp string_agg sum sumif sum_if uniq uniqexact var_pop var_samp variance variance_pop
    variance_samp varp xmlagg
    anyheavy anylast grouparrayinsertat grouparraymovingavg grouparraymovingsum grouparraysample groupbitand groupbitmap groupbitor
    groupbitxor map_union maxmap minmap multimap_agg numeric_histogram qdigest_agg quantiles quantileexact quantiletdigest
    quantiletiming quantileweighted quantileexactweighted quantiledeterministic quantilestdigest reduce_agg set_agg set_union
    simplelinearregression sumcount summap sumwithoverflow tdigest_agg topk topkweighted uniqcombined uniqcombined64 uniqhll12
    uniqthetasketch any avgweighted stddevpop stddevsamp varpop varsamp covarpop covarsamp"
        .split_whitespace()
        .collect()
});

/// Functions one of whose arguments may be a word for a part of a date.
pub(super) static OF_DATES: Words = LazyLock::new(|| {
    "date_add date_diff date_part date_sub date_trunc dateadd datediff datename datepart datetime_add datetime_diff
    datetime_sub datetime_trunc datetrunc datediff_big last_day time_add time_diff time_sub time_trunc timeadd timediff
    timestamp_add timestamp_diff timestamp_sub timestamp_trunc timestampadd timestampdiff timestampsub trunc"
        .split_whitespace()
        .collect()
});

pub(super) static PARTS_OF_DATES: Words = LazyLock::new(|| {
    "year years yyyy yy yr quarter quarters qtr qq q month months mon mm m week weeks wk ww w isoweek week_iso weekiso day
    days dd d dayofweek dow dw weekday dayofyear doy dy dayofweekiso dayofweek_iso isodow hour hours hh hr h minute
    minutes mi min n second seconds ss sec s millisecond milliseconds ms microsecond microseconds mcs us nanosecond
    nanoseconds ns epoch epoch_second epoch_millisecond isoyear yearofweek yearofweekiso decade century millennium"
        .split_whitespace()
        .collect()
});

/// Functions and constants that stand without brackets.
static WITHOUT_ORIGIN: Words = LazyLock::new(|| {
    "current_date current_timestamp current_time current_datetime current_user current_role current_database
    current_schema current_catalog localtime localtimestamp sysdate systimestamp session_user system_user user getdate
    null true false default rownum level"
        .split_whitespace()
        .collect()
});

/// Whether a name that no relation has is a function or a constant.
pub(super) fn is_without_origin(key: &str) -> bool {
    WITHOUT_ORIGIN.contains(key)
}

pub(super) fn name_of(function: &Function) -> String {
    let last = function.name.0.last().and_then(|part| part.as_ident());
    lower(last.map_or("", |ident| &ident.value))
}

/// ClickHouse makes other aggregates of each by endings, of which there may be several.
pub(super) fn without_endings(name: &str) -> &str {
    let endings = [
        "argmax",
        "argmin",
        "array",
        "distinct",
        "foreach",
        "if",
        "map",
        "merge",
        "ordefault",
        "ornull",
        "resample",
        "state",
    ];
    let mut name = name;
    while let Some(shorter) = endings.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = shorter;
        if AGGREGATES.contains(name) {
            break;
        }
    }
    name
}

/// Whether a function in FROM reads files, or another database.
pub(super) fn is_reader(key: &str) -> bool {
    let others = ["azureblobstorage", "dblink", "external_query", "file", "hdfs", "mysql", "openquery", "openrowset"];
    let more = ["postgresql", "remote", "remotesecure", "s3", "s3cluster", "url", "gcs", "deltalake", "iceberg"];
    key.starts_with("read_") || key.ends_with("_scan") || others.contains(&key) || more.contains(&key)
}
