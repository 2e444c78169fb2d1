using System.Collections.Concurrent;
using System.Reflection;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Workers.Lines;

/// <summary>
/// What a step is about, as fields of its line: the ids in its input (<c>volume_id</c>, <c>snapshot_id</c>, <c>server_id</c>, <c>image_id</c>, <c>operation_id</c>), and
/// what its answer observed. A step about several volumes at once is a line for each.
/// </summary>
internal static class Subject
{
    private const string Request = "Request";
    private const string Id = "Id";

    private static readonly ConcurrentDictionary<Type, IReadOnlyList<PropertyInfo>> Members = new();

    /// <summary>The fields of each line.</summary>
    /// <param name="input">The step's arguments.</param>
    /// <param name="answer">Its answer; null when it failed.</param>
    public static IReadOnlyList<IReadOnlyDictionary<string, object?>> Of(IReadOnlyCollection<object?> input, object? answer)
    {
        if (input.Count == 1 && input.First() is IReadOnlyList<VolumeSnapshotInput> members)
        {
            var cuts = (answer as IReadOnlyList<VolumeCut> ?? []).ToDictionary(c => c.Snapshot);
            return [.. members.Select(m => Fields([m], cuts.GetValueOrDefault(m.Snapshot)))];
        }

        return [Fields(input, answer)];
    }

    private static Dictionary<string, object?> Fields(IEnumerable<object?> input, object? answer)
    {
        var fields = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var value in input)
        {
            AddIds(fields, value);
        }

        foreach (var (name, value) in Observed(answer))
        {
            fields[name] = value;
        }

        return fields;
    }

    /// <summary>Ids of the value itself, of its members, and of the request that it is a step of.</summary>
    private static void AddIds(Dictionary<string, object?> fields, object? value)
    {
        if (value is null)
        {
            return;
        }

        if (FieldOf(value.GetType()) is { } own)
        {
            fields.TryAdd(own, value);
            return;
        }

        foreach (var member in Members.GetOrAdd(value.GetType(), type => [.. type.GetProperties().Where(p => p.GetIndexParameters().Length == 0 && (p.Name == Request || FieldOf(p.PropertyType) is not null))]))
        {
            if (member.Name == Request)
            {
                AddIds(fields, member.GetValue(value));
            }
            else if (member.GetValue(value) is { } id)
            {
                fields.TryAdd(FieldOf(id.GetType())!, id);
            }
        }
    }

    /// <summary><c>volume_id</c> for a <see cref="VolumeId"/>; null for what is no id.</summary>
    private static string? FieldOf(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type.Namespace == typeof(VolumeId).Namespace && type.IsValueType && type.Name.EndsWith(Id, StringComparison.Ordinal) ? $"{type.Name[..^Id.Length].ToLowerInvariant()}_id" : null;
    }

    private static IEnumerable<(string Name, object? Value)> Observed(object? answer) => answer switch
    {
        VolumeCut cut => [("size_bytes", cut.SizeBytes), ("cut_at", Precisely(cut.CutAt))],
        QuiesceResult frozen => [("frozen_at", Precisely(frozen.FrozenAt)), ("deadline_at", Precisely(frozen.DeadlineAt))],
        UnquiesceResult thawed =>
            [("was_frozen", thawed.WasFrozen), ("thawed_at", Precisely(thawed.ThawedAt)), ("lease_expired", thawed.LeaseExpired), ("agent_error", thawed.AgentError)],
        GuestAnswer guest => [("can_freeze", guest.CanFreeze), ("reason", guest.Reason)],
        _ => [],
    };

    private static string Precisely(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
}
