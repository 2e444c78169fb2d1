using System.Globalization;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using Temporalio.Api.Enums.V1;

namespace SnapshotFlow.Workers.Doctor;

public static partial class Judgement
{
    private const long LongBacklog = 100;
    private static readonly TimeSpan ShortestRetention = TimeSpan.FromDays(1);

    /// <summary>How long a namespace shows a run that has ended.</summary>
    public static Diagnosis Retention(string name, TimeSpan retention) => retention >= ShortestRetention
        ? Diagnosis.Ok("namespace", name, string.Create(CultureInfo.InvariantCulture, $"keeps ended runs for {retention.TotalDays:0} d"))
        : Diagnosis.Warning(
            "namespace", name, string.Create(CultureInfo.InvariantCulture, $"keeps ended runs for {retention.TotalHours:0.#} h only"),
            "raise the retention, or the Temporal UI shows nobody why a run of yesterday failed");

    /// <summary>The search attributes that a namespace has.</summary>
    public static Diagnosis Attributes(string name, IReadOnlyDictionary<string, IndexedValueType> known)
    {
        var missing = SearchAttributes.All.Where(a => !known.ContainsKey(a.Name)).Select(a => a.Name).ToList();
        var other = SearchAttributes.All.Where(a => known.TryGetValue(a.Name, out var type) && type is not IndexedValueType.Keyword).Select(a => $"{a.Name} ({known[a.Name]})").ToList();
        return missing.Count > 0 ? Diagnosis.Error("search attributes", name, $"{string.Join(", ", missing)} missing", "run: snapshotflow-workers setup; no run can be started without them")
            : other.Count > 0 ? Diagnosis.Error("search attributes", name, $"{string.Join(", ", other)} must be Keyword", "use a namespace of our own")
            : Diagnosis.Ok("search attributes", name, $"all {SearchAttributes.All.Count} are there");
    }

    /// <summary>Who asks for the tasks of a queue, and how many wait.</summary>
    public static Diagnosis Pollers(string queue, bool workflows, int alive, long waiting)
    {
        var what = $"{queue} ({(workflows ? "workflows" : "activities")})";
        return alive == 0 ? Diagnosis.Error("pollers", what, "nobody asks for its tasks", $"start the {Role(queue)}, or see why it does not reach Temporal")
            : waiting > LongBacklog ? Diagnosis.Warning("pollers", what, $"{alive} poll, and {waiting} tasks wait", $"start more of the {Role(queue)}, or see what it waits for")
            : Diagnosis.Ok("pollers", what, $"{alive} poll{(waiting > 0 ? $", {waiting} tasks wait" : "")}");
    }

    /// <summary>The reconciler's schedule.</summary>
    /// <param name="pausedBecause">The note of who paused it; null when it is not paused.</param>
    /// <param name="isThere">Whether there is one.</param>
    public static Diagnosis Schedule(bool isThere, string? pausedBecause) =>
        !isThere ? Diagnosis.Error("schedule", Names.ReconcileSchedule, "is not there: nothing looks for what runs left behind", "start a control worker, which registers it")
        : pausedBecause is not null
            ? Diagnosis.Warning("schedule", Names.ReconcileSchedule, $"is paused: {pausedBecause}", $"unpause it: temporal schedule toggle --schedule-id {Names.ReconcileSchedule} --unpause")
            : Diagnosis.Ok("schedule", Names.ReconcileSchedule, "looks for what runs left behind");
}
