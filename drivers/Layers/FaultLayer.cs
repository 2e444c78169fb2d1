using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Layers;

/// <summary>Makes chosen calls go wrong, as a file says (<see cref="FaultRule"/>): for tests and demonstrations on running processes.</summary>
/// <param name="inner">The driver, or the next layer.</param>
/// <param name="file">Absolute path of the fault file; need not exist.</param>
/// <param name="time">Measures delays.</param>
public sealed class FaultLayer(IVolumeDriver inner, string file, TimeProvider time) : VolumeDriverLayer(inner)
{
    private readonly Lock gate = new();
    private readonly Dictionary<FaultRule, int> applied = [];

    /// <inheritdoc/>
    protected override async Task<T> CallAsync<T>(VolumeCall call, Func<Task<T>> next, CancellationToken ct)
    {
        var rule = Take(await ReadRulesAsync(ct).ConfigureAwait(false), call);
        switch (rule?.Fault)
        {
            case VolumeFault.Fail:
                throw Failure(rule.Kind, rule, call, "before anything was done");
            case VolumeFault.Hang:
                await Task.Delay(Timeout.InfiniteTimeSpan, time, ct).ConfigureAwait(false);
                throw new InvalidOperationException("an endless delay ended without cancellation");
            case VolumeFault.Delay:
                await Task.Delay(rule.Delay, time, ct).ConfigureAwait(false);
                return await next().ConfigureAwait(false);
            case VolumeFault.LoseAnswer:
                await next().ConfigureAwait(false);
                throw Failure(ErrorKind.BackendUnavailable, rule, call, "after the work was done");
            default:
                return await next().ConfigureAwait(false);
        }
    }

    private FaultRule? Take(IReadOnlyList<FaultRule> rules, VolumeCall call)
    {
        lock (gate)
        {
            var rule = rules.FirstOrDefault(r => r.Matches(call) && (r.Times is not { } times || applied.GetValueOrDefault(r) < times));
            if (rule is not null)
            {
                applied[rule] = applied.GetValueOrDefault(rule) + 1;
            }

            return rule;
        }
    }

    private async Task<IReadOnlyList<FaultRule>> ReadRulesAsync(CancellationToken ct)
    {
        try
        {
            return FaultRule.Read(await System.IO.File.ReadAllTextAsync(file, ct).ConfigureAwait(false));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            // Going on without the faults would let a test pass that tested nothing.
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"fault file {file}: {e.Message}", e);
        }
    }

    private static SnapshotFlowException Failure(ErrorKind kind, FaultRule rule, VolumeCall call, string when) => new(kind,
        $"{call.Operation}{(call.Snapshot is { } s ? $" snapshot {s}" : "")}{(call.Volume is { } v ? $" volume {v}" : "")}: {rule.Message ?? $"injected fault, {when}"}");
}
