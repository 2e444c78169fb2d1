using System.Globalization;
using SnapshotFlow.TemporalDev.Schedules;
using Temporalio.Api.Enums.V1;

namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>Checks names and values against the attributes that exist, and turns literals into values of the attribute's type.</summary>
internal sealed class Binder(Func<string, AttributeKind?> kindOf)
{
    public readonly record struct Bound(string Name, AttributeKind Kind);

    private static readonly DateTimeOffset UnixEpoch = DateTimeOffset.UnixEpoch;

    public static bool TryComparison(string symbol, out Comparison comparison)
    {
        (var known, comparison) = symbol switch
        {
            "=" => (true, Comparison.Equal),
            "!=" => (true, Comparison.NotEqual),
            "<" => (true, Comparison.Less),
            "<=" => (true, Comparison.LessOrEqual),
            ">" => (true, Comparison.Greater),
            ">=" => (true, Comparison.GreaterOrEqual),
            _ => (false, default),
        };
        return known;
    }

    public Bound Attribute(Token name) => kindOf(name.Value) is { } kind
        ? new Bound(name.Value, kind)
        : throw new InvalidQueryException($"column name {name} is not a valid search attribute");

    public Bound Sortable(Token name)
    {
        var attribute = Attribute(name);
        return attribute.Kind is AttributeKind.Text or AttributeKind.KeywordList
            ? throw new InvalidQueryException($"ORDER BY does not support search attribute {name} of type {AttributeKinds.TypeName(attribute.Kind)}")
            : attribute;
    }

    public Condition Compare(Bound attribute, Comparison comparison, Token symbol, Token literal)
    {
        var equality = comparison is Comparison.Equal or Comparison.NotEqual;
        if (!equality && attribute.Kind is AttributeKind.Text or AttributeKind.KeywordList or AttributeKind.Bool or AttributeKind.Status)
        {
            throw Unsupported(attribute, symbol);
        }

        var value = Value(attribute, literal);
        Condition test = attribute.Kind == AttributeKind.Text
            ? new HasWord(attribute.Name, HasWord.WordsOf((string)value))
            : new Compare(attribute.Name, comparison == Comparison.NotEqual ? Comparison.Equal : comparison, value);
        return comparison == Comparison.NotEqual ? new Not(test) : test;
    }

    public Condition In(Bound attribute, Token word, List<Token> literals) => attribute.Kind == AttributeKind.Text
        ? throw Unsupported(attribute, word)
        : new OneOf(attribute.Name, [.. literals.Select(literal => Value(attribute, literal))]);

    public static Condition StartsWith(Bound attribute, Token word, Token literal)
    {
        if (attribute.Kind != AttributeKind.Keyword)
        {
            throw Unsupported(attribute, word);
        }

        return literal.Kind == TokenKind.Text
            ? new StartsWith(attribute.Name, literal.Value)
            : throw Mismatch(attribute, literal);
    }

    private static object Value(Bound attribute, Token literal) => (attribute.Kind, literal.Kind) switch
    {
        (AttributeKind.Keyword or AttributeKind.KeywordList or AttributeKind.Text, TokenKind.Text) => literal.Value,
        (AttributeKind.Status, TokenKind.Text or TokenKind.Integer) => Status(literal),
        (AttributeKind.Int, TokenKind.Integer) => Integer(attribute, literal),
        (AttributeKind.Double, TokenKind.Integer or TokenKind.Decimal) => Double(attribute, literal),
        (AttributeKind.Bool, TokenKind.Word) => literal.Is("true"),
        (AttributeKind.Datetime, TokenKind.Text) => Time(attribute, literal),
        (AttributeKind.Datetime, TokenKind.Integer) => UnixEpoch.AddTicks(Integer(attribute, literal) / 100),
        (AttributeKind.Duration, TokenKind.Integer) => Integer(attribute, literal),
        (AttributeKind.Duration, TokenKind.Text) => Duration(attribute, literal),
        _ => throw Mismatch(attribute, literal),
    };

    private static long Integer(Bound attribute, Token literal) =>
        long.TryParse(literal.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : throw Mismatch(attribute, literal);

    private static double Double(Bound attribute, Token literal) =>
        double.TryParse(literal.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : throw Mismatch(attribute, literal);

    private static DateTimeOffset Time(Bound attribute, Token literal)
    {
        try
        {
            return Timestamps.Parse(literal.Value);
        }
        catch (FormatException error)
        {
            throw new InvalidQueryException($"search attribute '{attribute.Name}' is a Datetime: {error.Message}");
        }
    }

    /// <summary>Nanoseconds from <c>1h30m</c>, <c>hh:mm:ss</c> or a number in quotes.</summary>
    private static long Duration(Bound attribute, Token literal)
    {
        if (long.TryParse(literal.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var nanoseconds))
        {
            return nanoseconds;
        }

        return GoDuration.TryParse(literal.Value, out var duration)
            || TimeSpan.TryParseExact(literal.Value, [@"h\:m\:s", @"h\:m\:s\.FFFFFFF"], CultureInfo.InvariantCulture, out duration)
            ? duration.Ticks * TimeSpan.NanosecondsPerTick
            : throw Mismatch(attribute, literal);
    }

    /// <summary>The status by its name (<c>Running</c>, <c>WORKFLOW_EXECUTION_STATUS_RUNNING</c>) or number.</summary>
    private static string Status(Token literal)
    {
        const string Prefix = "WORKFLOW_EXECUTION_STATUS_";
        var name = literal.Value.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)
            ? literal.Value[Prefix.Length..].Replace("_", "", StringComparison.Ordinal)
            : literal.Value;
        return Enum.TryParse<WorkflowExecutionStatus>(name, ignoreCase: true, out var status) && Enum.IsDefined(status)
            ? status.ToString()
            : throw new InvalidQueryException(
                $"{literal} is not an execution status; known are {string.Join(", ", Enum.GetNames<WorkflowExecutionStatus>().Skip(1))}");
    }

    private static InvalidQueryException Unsupported(Bound attribute, Token symbol) =>
        new($"operator {symbol} is not supported for search attribute '{attribute.Name}' of type {AttributeKinds.TypeName(attribute.Kind)}");

    private static InvalidQueryException Mismatch(Bound attribute, Token literal) =>
        new($"value {literal} does not fit search attribute '{attribute.Name}' of type {AttributeKinds.TypeName(attribute.Kind)}");
}
