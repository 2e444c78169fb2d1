namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>
/// Reads <c>[condition] [GROUP BY name] [ORDER BY name [ASC|DESC], …]</c>. NOT binds tighter than AND, AND tighter than OR. Names and types are checked by the
/// <see cref="Binder"/> as they are read.
/// </summary>
internal sealed class Parser(List<Token> tokens, Binder binder)
{
    /// <summary>Deepest nesting of parentheses and NOT; each level costs stack.</summary>
    private const int MaxDepth = 200;

    private int next;
    private int depth;

    private Token Current => tokens[next];

    public ListQuery ReadQuery()
    {
        var where = Current.Kind == TokenKind.End || Current.Is("ORDER") || Current.Is("GROUP") ? null : Or();
        var groupBy = Current.Is("GROUP") ? GroupBy() : null;
        var orderBy = Current.Is("ORDER") ? OrderBy() : [];
        if (Current.Is("LIMIT"))
        {
            throw new InvalidQueryException("LIMIT is not supported; use the page size of the request");
        }

        return Current.Kind == TokenKind.End ? new ListQuery(where, orderBy, groupBy) : throw Unexpected("AND, OR, GROUP BY, ORDER BY or the end");
    }

    private Condition Or()
    {
        var conditions = new List<Condition> { And() };
        while (TryTake("OR"))
        {
            conditions.Add(And());
        }

        return conditions.Count == 1 ? conditions[0] : new AnyOf(conditions);
    }

    private Condition And()
    {
        var conditions = new List<Condition> { Factor() };
        while (TryTake("AND"))
        {
            conditions.Add(Factor());
        }

        return conditions.Count == 1 ? conditions[0] : new AllOf(conditions);
    }

    private Condition Factor()
    {
        if (++depth > MaxDepth)
        {
            throw new InvalidQueryException($"more than {MaxDepth} nested parentheses and NOT");
        }

        Condition result;
        if (TryTake("NOT"))
        {
            result = new Not(Factor());
        }
        else if (TryTakeSymbol("("))
        {
            result = Or();
            Expect(")");
        }
        else
        {
            result = Predicate();
        }

        depth--;
        return result;
    }

    private Condition Predicate()
    {
        var attribute = binder.Attribute(Name());
        if (TryTake("IS"))
        {
            var negated = TryTake("NOT");
            if (!TryTake("NULL"))
            {
                throw Unexpected("NULL");
            }

            return Negate(new IsNull(attribute.Name), negated);
        }

        if (Current.Kind == TokenKind.Symbol && Binder.TryComparison(Current.Value, out var comparison))
        {
            var symbol = Take();
            return binder.Compare(attribute, comparison, symbol, Literal());
        }

        var not = TryTake("NOT");
        var word = Current;
        if (TryTake("IN"))
        {
            return Negate(binder.In(attribute, word, List()), not);
        }

        if (TryTake("STARTS_WITH"))
        {
            return Negate(Binder.StartsWith(attribute, word, Literal()), not);
        }

        if (TryTake("BETWEEN"))
        {
            var from = Literal();
            if (!TryTake("AND"))
            {
                throw Unexpected("AND");
            }

            var low = binder.Compare(attribute, Comparison.GreaterOrEqual, word, from);
            return Negate(new AllOf([low, binder.Compare(attribute, Comparison.LessOrEqual, word, Literal())]), not);
        }

        throw Unexpected("an operator: = != < <= > >= IN, BETWEEN, STARTS_WITH, IS NULL");
    }

    private List<Token> List()
    {
        Expect("(");
        var literals = new List<Token> { Literal() };
        while (TryTakeSymbol(","))
        {
            literals.Add(Literal());
        }

        Expect(")");
        return literals;
    }

    private string GroupBy()
    {
        Take();
        ExpectWord("BY");
        var token = Current;
        var attribute = binder.Attribute(Name());
        return attribute.Name == SystemAttributes.ExecutionStatus && !Current.IsSymbol(",")
            ? attribute.Name
            : throw new InvalidQueryException($"GROUP BY is supported for ExecutionStatus only, not for {token}");
    }

    private List<SortBy> OrderBy()
    {
        Take();
        ExpectWord("BY");
        var sort = new List<SortBy>();
        do
        {
            var attribute = binder.Sortable(Name());
            var descending = TryTake("DESC");
            if (!descending)
            {
                TryTake("ASC");
            }

            sort.Add(new SortBy(attribute.Name, attribute.Kind, descending));
        }
        while (TryTakeSymbol(","));
        return sort;
    }

    private Token Name() => Current.Kind is TokenKind.Word or TokenKind.QuotedName ? Take() : throw Unexpected("the name of a search attribute");

    private Token Literal() =>
        Current.Kind is TokenKind.Text or TokenKind.Integer or TokenKind.Decimal || Current.Is("true") || Current.Is("false")
            ? Take()
            : throw Unexpected("a value: a text or time in quotes, a number, true or false");

    private Token Take() => tokens[next++];

    private bool TryTake(string keyWord)
    {
        var found = Current.Is(keyWord);
        next += found ? 1 : 0;
        return found;
    }

    private bool TryTakeSymbol(string symbol)
    {
        var found = Current.IsSymbol(symbol);
        next += found ? 1 : 0;
        return found;
    }

    private void Expect(string symbol)
    {
        if (!TryTakeSymbol(symbol))
        {
            throw Unexpected($"'{symbol}'");
        }
    }

    private void ExpectWord(string keyWord)
    {
        if (!TryTake(keyWord))
        {
            throw Unexpected(keyWord);
        }
    }

    private static Condition Negate(Condition condition, bool negated) => negated ? new Not(condition) : condition;

    private InvalidQueryException Unexpected(string expected) => new($"expected {expected}, found {Current}");
}
