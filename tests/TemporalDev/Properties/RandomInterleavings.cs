using System.Globalization;

namespace SnapshotFlow.Tests.TemporalDev.Properties;

/// <summary>
/// Commands, completions, signals, cancels, time-outs and crashes in random order, each step compared with a model. Half of the crashes
/// hit a call in the middle: then the server may have done it or not, but nothing between and nothing else.
/// <c>TEMPORAL_DEV_MODEL_SEED</c> repeats one sequence, <c>TEMPORAL_DEV_MODEL_RUNS</c> says how many there are (default 50).
/// </summary>
public sealed class RandomInterleavings
{
    private const int Steps = 200;

    public static TheoryData<int> Seeds
    {
        get
        {
            if (Setting("TEMPORAL_DEV_MODEL_SEED") is { } seed)
            {
                return [seed];
            }

            var first = Random.Shared.Next();
            return [.. Enumerable.Range(0, Setting("TEMPORAL_DEV_MODEL_RUNS") ?? 50).Select(i => unchecked(first + i) & int.MaxValue)];
        }
    }

    [Theory(DisableDiscoveryEnumeration = true)]
    [MemberData(nameof(Seeds))]
    public async Task The_server_is_what_the_model_says_after_every_step(int seed)
    {
        await using var walk = await RandomWalk.StartAsync(seed);
        for (var step = 0; step < Steps; step++)
        {
            await walk.StepAsync();
        }
    }

    private static int? Setting(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
