using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Layers;

/// <summary>Each kind of fault, switched on and off in a file while the driver runs.</summary>
public sealed class FaultLayerTests : IAsyncLifetime
{
    private readonly string file = Path.Join(Path.GetTempPath(), $"snapshotflow-faults-{Guid.NewGuid():N}.json");
    private readonly InMemoryVolumeDriver inner = new(new InMemoryStorage(), TimeProvider.System);
    private readonly VolumeId volume = VolumeId.New();
    private readonly SnapshotId snapshot = SnapshotId.New();
    private IVolumeDriver driver = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        driver = new FaultLayer(inner, file, TimeProvider.System);
        await driver.CreateVolumeAsync(volume, 4096, Ct);
    }

    public ValueTask DisposeAsync()
    {
        System.IO.File.Delete(file);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Without_a_file_nothing_goes_wrong() => Assert.Equal(snapshot, (await CutAsync()).Snapshot);

    [Fact]
    public async Task A_call_fails_for_good_before_anything_is_done_until_the_rule_is_removed()
    {
        Inject(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = volume, Fault = VolumeFault.Fail, Message = "the pool is full" });
        for (var i = 0; i < 3; i++)
        {
            var refusal = await RefusedAsync(ErrorKind.BackendRefused);
            Assert.Contains("the pool is full", refusal.Message, StringComparison.Ordinal);
            Assert.Contains(volume.ToString(), refusal.Message, StringComparison.Ordinal);
        }

        Assert.Null(await inner.FindSnapshotAsync(volume, snapshot, Ct));
        Inject();
        await CutAsync();
    }

    [Fact]
    public async Task A_call_fails_as_often_as_the_rule_says_and_with_its_kind()
    {
        Inject(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Fail, Kind = ErrorKind.BackendUnavailable, Times = 2 });
        await RefusedAsync(ErrorKind.BackendUnavailable);
        await RefusedAsync(ErrorKind.BackendUnavailable);
        await CutAsync();
    }

    [Fact]
    public async Task A_lost_answer_comes_after_the_work_and_the_repetition_finds_it()
    {
        Inject(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.LoseAnswer, Times = 1 });
        await RefusedAsync(ErrorKind.BackendUnavailable);
        var done = await inner.FindSnapshotAsync(volume, snapshot, Ct);
        Assert.NotNull(done);
        Assert.Equal(done, await CutAsync());
    }

    [Fact]
    public async Task A_hanging_call_ends_when_it_is_cancelled_and_has_done_nothing()
    {
        Inject(new FaultRule { Snapshot = snapshot, Fault = VolumeFault.Hang });
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var hanging = driver.CreateSnapshotAsync(volume, snapshot, null, cancel.Token);
        await driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct);
        Assert.False(hanging.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
        Assert.Null(await inner.FindSnapshotAsync(volume, snapshot, Ct));
    }

    [Fact]
    public async Task A_delayed_call_does_its_work_later()
    {
        Inject(new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = TimeSpan.FromMilliseconds(50) });
        var began = TimeProvider.System.GetUtcNow();
        Assert.True((await CutAsync()).CreatedAt - began >= TimeSpan.FromMilliseconds(49));
    }

    [Fact]
    public async Task Rules_touch_only_the_calls_they_name()
    {
        Inject(
            new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = VolumeId.New(), Fault = VolumeFault.Fail },
            new FaultRule { Operation = VolumeOperation.DeleteSnapshot, Fault = VolumeFault.Fail });
        await CutAsync();
        await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.DeleteSnapshotAsync(volume, snapshot, Ct));
        Assert.NotNull(await driver.FindSnapshotAsync(volume, snapshot, Ct));
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("[null]")]
    [InlineData("""[{"fault":"Explode"}]""")]
    [InlineData("""[{"operation":"CreateSnapshot"}]""")]
    [InlineData("""[{"fault":"Fail","tmies":2}]""")]
    [InlineData("""[{"fault":"Fail","times":0}]""")]
    [InlineData("""[{"fault":"Delay"}]""")]
    public async Task A_file_that_cannot_be_understood_fails_every_call_and_says_which_file(string text)
    {
        await System.IO.File.WriteAllTextAsync(file, text, Ct);
        Assert.Contains(file, (await RefusedAsync(ErrorKind.InvalidRequest)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_file_of_the_documentation_can_be_read()
    {
        await System.IO.File.WriteAllTextAsync(file, $$"""
            [ { "operation": "CreateSnapshot", "volume": "{{volume}}", "fault": "Fail", "times": 1, "kind": "BackendUnavailable", "message": "the pool is offline" },
              { "operation": "DeleteSnapshot", "fault": "Delay", "delay": "00:00:00.001" } ]
            """, Ct);
        Assert.Contains("the pool is offline", (await RefusedAsync(ErrorKind.BackendUnavailable)).Message, StringComparison.Ordinal);
        await CutAsync();
        await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
    }

    private void Inject(params FaultRule[] rules)
    {
        System.IO.File.WriteAllText(file + ".new", FaultRule.Write(rules));
        System.IO.File.Move(file + ".new", file, overwrite: true);
    }

    private Task<CreatedSnapshot> CutAsync() => driver.CreateSnapshotAsync(volume, snapshot, null, Ct);

    private async Task<SnapshotFlowException> RefusedAsync(ErrorKind kind)
    {
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(CutAsync);
        Assert.Equal(kind, refusal.Kind);
        return refusal;
    }
}
