using System.Collections.Concurrent;
using Google.Protobuf;
using SnapshotFlow.TemporalDev.Visibility.Filter;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>
/// What lists and counts look at: every run of every namespace as it was at its last transition. Strongly consistent: whoever puts a record does so before the
/// transition is answered. Writers of different runs do not wait for each other, and a list never holds a writer up.
/// </summary>
internal sealed class VisibilityIndex(SearchAttributeRegistry attributes)
{
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<string, VisibilityRecord>> namespaces = new(StringComparer.Ordinal);

    /// <summary>
    /// Shows the run as given, in place of what was shown of it before. Records may arrive out of order: an older state never replaces a newer one.
    /// The info is given away: the caller never changes it again.
    /// </summary>
    public void Put(string @namespace, WorkflowExecutionInfo info)
    {
        var record = new VisibilityRecord(info);
        namespaces.GetOrAdd(@namespace, _ => new(StringComparer.Ordinal)).AddOrUpdate(
            record.RunId, record, (_, shown) => shown.Info.StateTransitionCount > info.StateTransitionCount ? shown : record);
    }

    public void Remove(string @namespace, string runId)
    {
        if (namespaces.TryGetValue(@namespace, out var runs))
        {
            runs.TryRemove(runId, out _);
        }
    }

    public void RemoveNamespace(string @namespace) => namespaces.TryRemove(@namespace, out _);

    /// <exception cref="InvalidQueryException">The query or the token cannot be understood.</exception>
    public ListPage<VisibilityRecord> List(string @namespace, string query, int pageSize, ByteString pageToken)
    {
        var parsed = ListQuery.Parse(query, attributes.Of(@namespace).KindOf);
        return parsed.GroupBy is null
            ? ListPage<VisibilityRecord>.Select(Runs(@namespace), parsed, query, pageSize, pageToken)
            : throw new InvalidQueryException("GROUP BY is supported by counts only");
    }

    /// <exception cref="InvalidQueryException">The query cannot be understood.</exception>
    public RunCount Count(string @namespace, string query)
    {
        var parsed = ListQuery.Parse(query, attributes.Of(@namespace).KindOf);
        var matching = Runs(@namespace).Where(parsed.Matches);
        if (parsed.GroupBy is not { } name)
        {
            return new RunCount(matching.LongCount(), []);
        }

        var groups = matching.CountBy(run => (string)run.Attribute(name)!)
            .Select(group => new RunCount.Group(group.Key, group.Value))
            .OrderBy(group => Enum.Parse<WorkflowExecutionStatus>(group.Value))
            .ToList();
        return new RunCount(groups.Sum(group => group.Count), groups);
    }

    private IEnumerable<VisibilityRecord> Runs(string @namespace) =>
        namespaces.TryGetValue(@namespace, out var runs) ? runs.Select(entry => entry.Value) : [];
}

/// <param name="Total">How many runs match.</param>
/// <param name="Groups">The same split by the attribute of GROUP BY; empty without one.</param>
public sealed record RunCount(long Total, IReadOnlyList<RunCount.Group> Groups)
{
    public sealed record Group(string Value, long Count);
}
