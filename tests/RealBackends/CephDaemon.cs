using System.Globalization;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>A process of the cluster that <c>stack/ceph.sh</c> brought up, which a test lets hang and go on.</summary>
internal sealed class CephDaemon : IDisposable
{
    private readonly string pid;

    private CephDaemon(string pid)
    {
        this.pid = pid;
        Signal("-STOP");
    }

    /// <summary>Stops it where it is, until this is disposed of: connections stay open, and nothing is answered.</summary>
    /// <param name="name"><c>mon</c> or <c>osd</c>.</param>
    public static CephDaemon Hang(string name)
    {
        var directory = Environment.GetEnvironmentVariable("SNAPSHOTFLOW_TEST_CEPH_HOME");
        Assert.SkipWhen(string.IsNullOrEmpty(directory), "only a cluster that ./snapshotflow test --real brought up may be stopped");
        return new(File.ReadAllText(Path.Combine(directory!, $"{name}.pid")).Split(' ')[0]);
    }

    public void Dispose() => Signal("-CONT");

    private void Signal(string signal)
    {
        using var kill = System.Diagnostics.Process.Start("kill", [signal, int.Parse(pid, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }
}
