namespace SnapshotFlow.TemporalDev.Visibility.Filter;

/// <summary>Something that lists show and filters ask about: a run, a schedule. Immutable.</summary>
public interface IListEntry
{
    /// <summary>UTC ticks of the time that the default order sorts by, newest first.</summary>
    long ListedAt { get; }

    /// <summary>Unique among the entries of a list; breaks ties of the order.</summary>
    string Key { get; }

    /// <summary>
    /// The attribute's value: string, long, double, bool or <see cref="DateTimeOffset"/>, or an array of these; null when there is none.
    /// </summary>
    object? Attribute(string name);
}
