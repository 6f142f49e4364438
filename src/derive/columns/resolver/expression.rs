//! What an expression comes from: all columns that stand in it, in its windows, and in its subqueries.

use std::ops::ControlFlow;
use std::rc::Rc;

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Ident,
    NamedWindowExpr, Query, SelectItem, SetExpr, Visit, Visitor, WindowType,
};

use super::Resolver;
use super::names::{Word, lower};
use super::notes::{Sources, Step};
use super::scope::{Found, Scope};
use super::table::Column;

/// Functions that put together several rows.
const AGGREGATES: &str = " any_value approx_count_distinct approx_distinct approx_median approx_percentile approx_quantiles \
    approx_top_count approx_top_k approx_top_sum arg_max arg_max_null arg_min arg_min_null argmax argmin array_agg \
    array_concat_agg array_union_agg array_unique_agg avg bit_and bit_and_agg bit_or bit_or_agg bit_xor bit_xor_agg \
    bitand_agg bitor_agg bitmap_construct_agg bool_and bool_or booland_agg boolor_agg boolxor_agg checksum_agg collect_list \
    collect_set corr count count_big count_if countif covar_pop covar_samp every favg first fsum grouparray group_concat \
    grouping_id groupuniqarray hash_agg histogram hll hll_accumulate hll_combine hll_count.init hll_count.merge json_agg \
    json_arrayagg json_object_agg json_objectagg jsonb_agg jsonb_object_agg kurtosis last list listagg logical_and \
    logical_or mad map_agg max max_by maxif max_if median min min_by minif min_if mode object_agg percentile \
    percentile_approx percentile_cont percentile_disc product quantile quantile_cont quantile_disc regr_intercept \
    regr_r2 regr_slope skewness some st_union_agg std stddev stddev_pop stddev_samp stdev stdevp string_agg sum sumif \
    sum_if ts_first ts_last uniq uniqexact var_pop var_samp variance variance_pop variance_samp varp xmlagg ";

/// Functions one of whose arguments is a word for a part of a date.
const OF_DATES: &str = " add_months date_add date_diff date_part date_sub date_trunc dateadd datediff datename datepart \
    datetime_add datetime_diff datetime_sub datetime_trunc datetrunc datediff_big extract last_day last_day_of next_day \
    time_add time_diff time_slice time_sub time_trunc timeadd timediff timestamp_add timestamp_diff timestamp_sub \
    timestamp_trunc timestampadd timestampdiff timestampsub trunc ";

const PARTS_OF_DATES: &str = " year years yyyy yy yr quarter quarters qtr qq q month months mon mm m week weeks wk ww w isoweek \
    week_iso weekiso day days dd d dayofweek dow dw weekday dayofyear doy dy dayofweekiso dayofweek_iso isodow hour hours hh \
    hr h minute minutes mi min n second seconds ss sec s millisecond milliseconds ms microsecond microseconds mcs us \
    nanosecond nanoseconds ns epoch epoch_second epoch_millisecond isoyear yearofweek yearofweekiso decade century \
    millennium date time tzoffset ";

/// Functions and constants that stand without brackets.
const WITHOUT_ORIGIN: &str = " current_date current_timestamp current_time current_datetime current_user current_role \
    current_database current_schema current_catalog localtime localtimestamp sysdate systimestamp session_user \
    system_user user getdate null true false default rownum level ";

fn is_in(list: &str, word: &str) -> bool {
    !word.is_empty() && !word.contains(' ') && list.contains(&format!(" {word} "))
}

/// Whether a name that no relation has is a function or a constant.
pub(super) fn is_without_origin(key: &str) -> bool {
    is_in(WITHOUT_ORIGIN, key)
}

impl Resolver<'_> {
    /// What an expression comes from, as it is used in a clause.
    pub(super) fn sources<'a>(&mut self, expression: &'a Expr, scope: &Scope<'_, 'a>) -> (Sources, bool) {
        let column = self.column(expression, scope, Word { name: "".into(), key: "".into() });
        (column.sources, column.is_resolved)
    }

    /// The column that an expression gives under a name.
    pub(super) fn column<'a>(&mut self, expression: &'a Expr, scope: &Scope<'_, 'a>, word: Word) -> Column<'a> {
        let mut inner = expression;
        while let Expr::Nested(nested) = inner {
            inner = nested;
        }
        if let Some(path) = self.path_of(inner) {
            let found = self.find(&path, scope);
            return self.read(found, &path).called(word);
        }
        let mut walk = Walk::new(self, scope);
        let _ = inner.visit(&mut walk);
        let (sources, is_resolved) = walk.end();
        Column { word, sources, is_resolved, expression: Some(expression) }
    }

    fn path_of(&mut self, expression: &Expr) -> Option<Vec<Word>> {
        match expression {
            Expr::Identifier(ident) => Some(vec![self.names.ident(ident)]),
            Expr::CompoundIdentifier(idents) => Some(idents.iter().map(|ident| self.names.ident(ident)).collect()),
            _ => None,
        }
    }

    /// The column that was found, which is noted as named; one without origins where none was.
    fn read<'a>(&mut self, found: Found<'a>, path: &[Word]) -> Column<'a> {
        let title = || path.iter().map(|word| &*word.name).collect::<Vec<_>>().join(".");
        let reason = match found {
            Found::Column(column) => {
                self.step(column.sources.len());
                self.notes.named(&column.sources);
                return column;
            }
            Found::Several => format!("`{}` could be of several relations", title()),
            Found::Nothing => format!("`{}` is in none of the relations that it could be of", title()),
        };
        self.notes.reason(reason);
        let word = path.last().cloned().unwrap_or_else(|| Word { name: "".into(), key: "".into() });
        Column { is_resolved: false, ..Column::new(word, Sources::none()) }
    }
}

/// Walks through an expression. What stands in a subquery is left to the resolver, though the parser's visitor enters it.
struct Walk<'w, 'r, 's, 'a> {
    resolver: &'w mut Resolver<'r>,
    scope: &'w Scope<'s, 'a>,
    found: Vec<(super::relation::Place, Step)>,
    is_resolved: bool,
    /// How many subqueries are entered.
    depth: usize,
    /// How many aggregate calls are entered.
    aggregates: usize,
    /// What is no column though it looks like one.
    skipped: Vec<*const Expr>,
    /// The subquery of an EXISTS that names no columns.
    nameless: Option<*const Query>,
    /// The parameters of the lambdas that are entered.
    parameters: Vec<Rc<str>>,
    windows: usize,
}

/// A window may be made from another one so many times.
const MOST_WINDOWS: usize = 8;

impl<'w, 'r, 's, 'a> Walk<'w, 'r, 's, 'a> {
    fn new(resolver: &'w mut Resolver<'r>, scope: &'w Scope<'s, 'a>) -> Self {
        Self {
            resolver,
            scope,
            found: Vec::new(),
            is_resolved: true,
            depth: 0,
            aggregates: 0,
            skipped: Vec::new(),
            nameless: None,
            parameters: Vec::new(),
            windows: 0,
        }
    }

    fn end(self) -> (Sources, bool) {
        self.resolver.step(self.found.len());
        (Sources::of(self.found), self.is_resolved)
    }

    fn least(&self) -> Step {
        if self.aggregates > 0 { Step::Aggregation } else { Step::Transformation }
    }

    fn take(&mut self, sources: &Sources) {
        let least = self.least();
        self.found.extend(sources.iter().map(|(place, step)| (place, step.max(least))));
    }

    fn name(&mut self, path: &[Word]) {
        if path.first().is_some_and(|word| self.parameters.contains(&word.key)) {
            return;
        }
        let found = self.resolver.find(path, self.scope);
        let column = self.resolver.read(found, path);
        self.is_resolved &= column.is_resolved;
        self.take(&column.sources);
    }

    /// `a.b[1].c`: what stands before the first bracket is one name.
    fn fields(&mut self, root: &Expr, chain: &[AccessExpr]) {
        for access in chain {
            if let AccessExpr::Dot(field) = access {
                self.skipped.push(field);
            }
        }
        let Some(mut path) = self.resolver.path_of(root) else { return };
        self.skipped.push(root);
        for access in chain {
            let AccessExpr::Dot(Expr::Identifier(field)) = access else { break };
            path.push(self.resolver.names.ident(field));
        }
        self.name(&path);
    }

    fn function(&mut self, function: &Function) {
        let name = lower(&function.name.0.last().map(ToString::to_string).unwrap_or_default());
        if let FunctionArguments::List(list) = &function.args {
            if is_in(OF_DATES, &name) {
                self.skip_part(&list.args);
            }
            for arg in &list.args {
                self.argument(arg, &name);
            }
        }
        match &function.over {
            Some(WindowType::NamedWindow(window)) => self.window(window),
            Some(WindowType::WindowSpec(spec)) => spec.window_name.iter().for_each(|window| self.window(window)),
            None => {}
        }
    }

    /// The first argument that is a word for a part of a date, or the last.
    fn skip_part(&mut self, args: &[FunctionArg]) {
        let part = |arg: Option<&FunctionArg>| match arg {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => match expr {
                Expr::Identifier(ident) if ident.quote_style.is_none() => {
                    is_in(PARTS_OF_DATES, &lower(&ident.value)).then_some(std::ptr::from_ref(expr))
                }
                // BigQuery's `week(monday)`.
                Expr::Function(inner) if inner.name.to_string().eq_ignore_ascii_case("week") => match &inner.args {
                    FunctionArguments::List(list) => match list.args.first() {
                        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(day))) => Some(std::ptr::from_ref(day)),
                        _ => None,
                    },
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        self.skipped.extend(part(args.first()).or_else(|| part(args.last()).filter(|_| args.len() > 1)));
    }

    fn argument(&mut self, arg: &FunctionArg, function: &str) {
        let (FunctionArg::Unnamed(value)
        | FunctionArg::Named { arg: value, .. }
        | FunctionArg::ExprNamed { arg: value, .. }) = arg;
        if let FunctionArg::Named { name, operator: FunctionArgOperator::Equals, .. } = arg {
            // A comparison may look like an argument that has a name.
            let path = [self.resolver.names.ident(name)];
            if let found @ Found::Column(_) = self.resolver.find(&path, self.scope) {
                let column = self.resolver.read(found, &path);
                self.take(&column.sources);
            }
        }
        let only = match value {
            FunctionArgExpr::Expr(_) => return,
            FunctionArgExpr::QualifiedWildcard(name) => Some(self.resolver.names.path(name)),
            FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => None,
        };
        if function != "count" {
            let (columns, _) = self.resolver.all_columns(self.scope, only.as_deref());
            self.take(&Sources::all(columns.iter().map(|column| &column.sources)));
        }
    }

    /// What a window that has a name is made from.
    fn window(&mut self, window: &Ident) {
        let name = self.resolver.names.ident(window);
        let windows = self.scope.windows;
        let named = windows.iter().find(|named| self.resolver.names.ident(&named.0).key == name.key);
        let Some(named) = named.filter(|_| self.windows < MOST_WINDOWS) else { return };
        self.windows += 1;
        match &named.1 {
            NamedWindowExpr::NamedWindow(other) => self.window(other),
            NamedWindowExpr::WindowSpec(spec) => {
                if let Some(other) = &spec.window_name {
                    self.window(other);
                }
                let _ = spec.visit(self);
            }
        }
        self.windows -= 1;
    }

    fn is_aggregate(function: &Function) -> bool {
        function.over.is_none()
            && is_in(AGGREGATES, &lower(&function.name.0.last().map(ToString::to_string).unwrap_or_default()))
    }

    fn subquery(&mut self, query: &Query) {
        self.resolver.notes.capture();
        let table = self.resolver.query(query, Some(self.scope));
        let captured = self.resolver.notes.captured();
        let least = self.least();
        self.found.extend(captured.into_iter().map(|(place, step)| (place, step.max(least))));
        if self.nameless.take() != Some(std::ptr::from_ref(query)) {
            for column in &table.columns {
                self.take(&column.sources);
                self.is_resolved &= column.is_resolved;
            }
        }
    }
}

fn has_only_stars(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    select.projection.iter().all(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
}

impl Visitor for Walk<'_, '_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.subquery(query);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if !self.resolver.step(0) {
            return ControlFlow::Break(());
        }
        if self.depth > 0 || self.skipped.contains(&std::ptr::from_ref(expr)) {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let path = self.resolver.path_of(expr).unwrap_or_default();
                self.name(&path);
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.fields(root, access_chain),
            Expr::Function(function) => {
                self.aggregates += usize::from(Self::is_aggregate(function));
                self.function(function);
            }
            Expr::Lambda(lambda) => {
                let names = lambda.params.iter().map(|parameter| self.resolver.names.ident(&parameter.name).key);
                self.parameters.extend(names.collect::<Vec<_>>());
            }
            Expr::Exists { subquery, .. } if has_only_stars(subquery) => {
                self.nameless = Some(std::ptr::from_ref(subquery));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Function(function) => self.aggregates -= usize::from(Self::is_aggregate(function)),
            Expr::Lambda(lambda) => {
                let left = self.parameters.len().saturating_sub(lambda.params.iter().count());
                self.parameters.truncate(left);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
