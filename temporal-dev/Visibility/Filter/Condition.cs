namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>How an attribute is compared with a value.</summary>
public enum Comparison
{
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// <summary>
/// A checked filter. As in SQL there are three answers: a comparison with a missing attribute is unknown (null), NOT of unknown is unknown, and only
/// entries with the answer true are listed.
/// </summary>
public abstract record Condition
{
    public abstract bool? Test(IListEntry entry);

    public bool Matches(IListEntry entry) => Test(entry) == true;
}

/// <summary>True when all are true, false when one is false.</summary>
public sealed record AllOf(IReadOnlyList<Condition> Conditions) : Condition
{
    public override bool? Test(IListEntry entry)
    {
        bool? result = true;
        foreach (var condition in Conditions)
        {
            switch (condition.Test(entry))
            {
                case false:
                    return false;
                case null:
                    result = null;
                    break;
            }
        }

        return result;
    }
}

/// <summary>True when one is true, false when all are false.</summary>
public sealed record AnyOf(IReadOnlyList<Condition> Conditions) : Condition
{
    public override bool? Test(IListEntry entry)
    {
        bool? result = false;
        foreach (var condition in Conditions)
        {
            switch (condition.Test(entry))
            {
                case true:
                    return true;
                case null:
                    result = null;
                    break;
            }
        }

        return result;
    }
}

public sealed record Not(Condition Inner) : Condition
{
    public override bool? Test(IListEntry entry) => !Inner.Test(entry);
}

public sealed record IsNull(string Name) : Condition
{
    public override bool? Test(IListEntry entry) => entry.Attribute(Name) is null;
}

/// <summary>A test of one attribute's value. For an attribute with several values it holds when it holds for one of them.</summary>
public abstract record ValueCondition(string Name) : Condition
{
    public sealed override bool? Test(IListEntry entry) => entry.Attribute(Name) switch
    {
        null => null,
        Array values => TestAny(values),
        var value => TestValue(value),
    };

    protected abstract bool TestValue(object value);

    private bool TestAny(Array values)
    {
        foreach (var value in values)
        {
            if (TestValue(value))
            {
                return true;
            }
        }

        return false;
    }
}

/// <param name="Name">The attribute.</param>
/// <param name="Operator">Never <see cref="Comparison.NotEqual"/>, which is the negation of equal: a list that contains the value is not unequal to it.</param>
/// <param name="Value">Of the attribute's own type.</param>
public sealed record Compare(string Name, Comparison Operator, object Value) : ValueCondition(Name)
{
    protected override bool TestValue(object value)
    {
        var order = Values.Order(value, Value);
        return Operator switch
        {
            Comparison.Equal => order == 0,
            Comparison.Less => order < 0,
            Comparison.LessOrEqual => order <= 0,
            Comparison.Greater => order > 0,
            Comparison.GreaterOrEqual => order >= 0,
            _ => throw new InvalidOperationException($"{Operator} is expressed by negation"),
        };
    }
}

/// <param name="Name">The attribute.</param>
/// <param name="Options">Values of the attribute's own type.</param>
public sealed record OneOf(string Name, IReadOnlyList<object> Options) : ValueCondition(Name)
{
    protected override bool TestValue(object value) => Options.Any(option => Values.Order(value, option) == 0);
}

public sealed record StartsWith(string Name, string Prefix) : ValueCondition(Name)
{
    protected override bool TestValue(object value) => ((string)value).StartsWith(Prefix, StringComparison.Ordinal);
}

/// <summary>Whether a text contains one of the given words, whatever their case and order.</summary>
public sealed record HasWord(string Name, IReadOnlyList<string> Words) : ValueCondition(Name)
{
    /// <summary>Runs of letters and digits, in lower case.</summary>
    public static IReadOnlyList<string> WordsOf(string text)
    {
        var words = new List<string>();
        var start = -1;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && char.IsLetterOrDigit(text[i]))
            {
                start = start < 0 ? i : start;
            }
            else if (start >= 0)
            {
                words.Add(text[start..i].ToLowerInvariant());
                start = -1;
            }
        }

        return words;
    }

    protected override bool TestValue(object value) => WordsOf((string)value).Any(Words.Contains);
}

internal static class Values
{
    /// <summary>Orders two values of one type; keywords by code point.</summary>
    public static int Order(object left, object right) => left is string text
        ? string.CompareOrdinal(text, (string)right)
        : ((IComparable)left).CompareTo(right);
}
