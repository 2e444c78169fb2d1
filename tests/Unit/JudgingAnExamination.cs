using SnapshotFlow.Workers.Doctor;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Tests.Unit;

/// <summary>Which clocks and disks the doctor finds well.</summary>
public sealed class JudgingAnExamination
{
    private const long Gib = 1024L * 1024 * 1024;
    private static readonly DateTimeOffset Asked = new(2026, 11, 23, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset Answered = Asked.AddMilliseconds(300);

    [Theory]
    [InlineData(0, Severity.Ok)]
    [InlineData(150, Severity.Ok)]
    [InlineData(300, Severity.Ok)]
    [InlineData(1299, Severity.Ok)]
    [InlineData(1300, Severity.Warning)]
    [InlineData(-999, Severity.Ok)]
    [InlineData(-1000, Severity.Warning)]
    [InlineData(60_299, Severity.Warning)]
    [InlineData(60_300, Severity.Error)]
    [InlineData(-60_000, Severity.Error)]
    public void A_clock_is_wrong_by_what_it_is_outside_of_the_time_in_which_it_was_asked(int milliseconds, Severity expected) =>
        Assert.Equal(expected, Judgement.Clock("a host", "Temporal", Asked.AddMilliseconds(milliseconds), Asked, Answered).Severity);

    [Fact]
    public void A_wrong_clock_is_said_to_be_behind_or_ahead_and_what_to_do()
    {
        var ahead = Judgement.Clock("a host", "Temporal", Answered.AddSeconds(5), Asked, Answered);
        var behind = Judgement.Clock("a host", "Temporal", Asked.AddSeconds(-2.5), Asked, Answered);
        Assert.Equal(("at least 5.00 s ahead of Temporal", "at least 2.50 s behind Temporal"), (ahead.Found, behind.Found));
        Assert.Contains("chrony", ahead.Advice, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(50 * Gib, 100 * Gib, Severity.Ok)]
    [InlineData(10 * Gib, 100 * Gib, Severity.Ok)]
    [InlineData(10 * Gib - 1, 100 * Gib, Severity.Warning)]
    [InlineData(Gib / 4, 100 * Gib, Severity.Warning)]
    [InlineData(Gib / 4 - 1, 100 * Gib, Severity.Error)]
    [InlineData(0, Gib, Severity.Error)]
    public void A_disk_is_judged_by_its_share_that_is_free_and_by_what_a_worker_needs_to_go_on(long free, long total, Severity expected) =>
        Assert.Equal(expected, Judgement.Disk("a host", new DiskFacts("/var/lib/snapshotflow", free, total)).Severity);
}
